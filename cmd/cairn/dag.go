package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) dagCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dag",
		Short: "Move blocks in and out as CAR files",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	cmd.AddCommand(p.dagImportCmd(), p.dagExportCmd(), p.dagStatCmd())
	return cmd
}

// importFlags are what an import may be asked for.
type importFlags struct {
	putFlags
	pin bool
}

func (o *importFlags) define(cmd *cobra.Command, pin string) {
	f := cmd.Flags()
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print CIDs and errors only")
	f.BoolVar(&o.pin, pin, true, "keep the roots here, and on other peers; without it the blocks are as if they had been read")
	o.placing(f)
}

// options are o's, of an import of args.
func (o *importFlags) options(args []string) (blocks.ImportOptions, error) {
	err := o.parse(args)
	return blocks.ImportOptions{PutOptions: o.PutOptions, NoPin: !o.pin}, err
}

func (p *program) dagImportCmd() *cobra.Command {
	var o importFlags
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Keep the blocks of CAR files, and everything under their roots",
		Long: `Keep the blocks of CAR files, of version 1 or 2, and everything under their roots, and
print these roots, one a line. - is standard input.

Each block is checked against its CID. A root is kept here and on other peers as a put is; what
is under it has to be whole, with the blocks that are here already. An import that fails
leaves nothing of what it brought. Blocks that no root leads to stay as what was merely read;
with --pin-roots=false, and in a file without roots, those are all of them.`,
		Example: `  cairn dag import photos.car
  cairn dag import --pin-roots=false parts.car
  ipfs dag export CID | cairn dag import - --wait full`,
		Args: some("a CAR file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := o.options(args)
			if err != nil {
				return err
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			defer c.Close()
			if !cmd.Flags().Changed("timeout") {
				p.timeout = 0 // as for a put
			}
			var short error
			for _, file := range args {
				err := p.dagImport(cmd.Context(), c, o, options, file)
				var said *client.Error
				switch {
				case errors.As(err, &said) && said.Code == api.CodeShort:
					short = err
				case err != nil && len(args) > 1:
					return fmt.Errorf("%s: %w", printable(file), err)
				case err != nil:
					return err
				}
			}
			return short
		},
	}
	o.define(cmd, "pin-roots")
	return cmd
}

func (p *program) dagImport(ctx context.Context, c *client.Client, o importFlags, options blocks.ImportOptions, file string) error {
	in, length, err := p.openFile(file)
	if err != nil {
		return err
	}
	defer in.Close()
	ctx, w, done := p.patience(ctx)
	defer done()
	m := p.meter()
	defer m.clear()
	defer m.answering()()
	if o.quiet {
		m.mode = ""
	}
	sent := int64(0)
	src := reader{in, func(n int) {
		w.moved()
		sent += int64(n)
		m.track(statusLine{Verb: "import", Phase: "sending", Name: file, Done: sent, Total: length})
		m.show("sending %s  %s", printable(file), size(sent))
	}}
	return p.imported(o, m, w, func(tell func(blocks.Progress)) (blocks.Imported, error) {
		return c.Import(ctx, src, options, tell)
	})
}

// imported sends an import, shows how far its copies are, and prints its roots.
func (p *program) imported(o importFlags, m *meter, w *watch, send func(tell func(blocks.Progress)) (blocks.Imported, error)) error {
	var last blocks.Progress
	out, err := send(func(now blocks.Progress) {
		if now.Safe != last.Safe || now.Blocks != last.Blocks {
			w.moved()
		}
		last = now
		if p.json {
			m.line(p.out, api.StatusLine{Type: api.LineStatus, Progress: now})
		} else if !o.NoPlace && now.Blocks > 0 && now.Members > 0 {
			m.show("%s", spreading(now))
		}
	})
	if out.Blocks == 0 && err != nil {
		return err
	}
	m.clear()
	if p.json {
		writeJSON(p.out, api.ImportLine{Type: api.LineSummary, Imported: api.NewImported(out)})
		return err
	}
	if !o.quiet {
		p.note("%s  %s  %.2f s", count(out.Blocks, "block"), size(out.Bytes), time.Duration(out.Took).Seconds())
		for _, r := range out.Roots {
			p.note("%s  %s  %s  %s", r.Root, size(r.Size), count(r.Blocks, "block"), kept(o.putFlags, r))
		}
		if out.Loose > 0 {
			p.note("%s kept as what was merely read: no root that is pinned leads there", count(out.Loose, "block"))
		}
		if len(out.Roots) == 0 {
			p.note("nothing is pinned")
		}
	}
	for _, r := range out.Roots {
		fmt.Fprintln(p.out, r.Root)
	}
	return err
}

func (p *program) dagExportCmd() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "export PATH",
		Short: "Write everything under a path as a CAR file",
		Long: `Write everything under a path as a CAR file of version 1, to standard output or to a file:
each block once, depth first, checked. A file appears when it is whole. When a block is
missing the status is 4, and what standard output got is no whole CAR.`,
		Example: `  cairn dag export CID -o photos.car
  cairn dag export CID/photos | ipfs dag import`,
		Args: exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, w *watch, c *client.Client) error {
				return p.dagExport(ctx, w, c, args[0], output)
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "`file` to write to; - is standard output")
	return cmd
}

// exported is the summary of an export.
type exported struct {
	Type string  `json:"type"` // summary
	Path string  `json:"path"`
	File string  `json:"file"`
	Size int64   `json:"size"` // bytes of the CAR
	Took float64 `json:"took"`
}

func (p *program) dagExport(ctx context.Context, w *watch, c *client.Client, path, output string) error {
	began := time.Now()
	m := p.meter()
	defer m.clear()
	defer m.answering()()
	r, err := c.Export(ctx, path)
	if err != nil {
		return err
	}
	defer r.Close()
	n := int64(0)
	src := reader{r, func(k int) {
		w.moved()
		n += int64(k)
		m.track(statusLine{Verb: "export", Phase: "reading", Name: path, Done: n})
		m.show("%s  %s", printable(path), size(n))
	}}
	summary := p.out
	if output == "-" {
		summary = p.err
		_, err = io.Copy(p.out, src)
	} else {
		err = writeWhole(output, src)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) { // the daemon broke it off, and knows why
		if _, why := c.DAGStat(ctx, path); why != nil {
			err = why
		}
	}
	if err != nil {
		return fmt.Errorf("export: not whole, after %s: %w", size(n), err)
	}
	m.clear()
	took := time.Since(began).Seconds()
	if p.json {
		writeJSON(summary, exported{"summary", path, output, n, took})
		return nil
	}
	p.note("%s  %s in %.2f s, verified", printable(output), size(n), took)
	return nil
}

// writeWhole makes the file output of what r gives, or nothing. What is no plain file, such as a
// pipe, is written to as it is.
func writeWhole(output string, r io.Reader) (err error) {
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(output, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(output), ".cairn-*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(f.Name())))
		}
	}()
	buf := bufio.NewWriterSize(f, 1<<20)
	_, err = io.Copy(buf, r)
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), output)
}

func (p *program) dagStatCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "stat PATH...",
		Short:   "Read everything under paths, and say how many blocks and bytes that is",
		Example: "  cairn dag stat CID",
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, _ *watch, c *client.Client, path string) error {
				s, err := c.DAGStat(ctx, path)
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, api.DAGStat{CID: s.Root.String(), Blocks: s.Blocks, Bytes: s.Bytes})
					return nil
				}
				fmt.Fprintf(p.out, "%s  %s  %d (%s)\n", s.Root, count(s.Blocks, "block"), s.Bytes, size(s.Bytes))
				return nil
			})
		},
	}
}
