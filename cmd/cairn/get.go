package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) getCmd() *cobra.Command {
	var output string
	var force bool
	cmd := &cobra.Command{
		Use:   "get PATH",
		Short: "Write a file or a tree of the network to disk",
		Long: `Write a file or a tree of the network to disk, under the last name of its path or
under its CID. It appears when it is whole. A get that is cut off after a MiB or more leaves
.cairn-CID.part beside it: the same get goes on from there, after checking all of it. Nothing
is written outside of the tree's own directory, and nothing that is there is overwritten
without --force, which writes into a directory that is there.

PATH is a CID, CID/a/b, /ipfs/CID/a/b, ipfs://CID/a/b or the address of a gateway page.`,
		Example: `  cairn get CID -o copy.md
  cairn get /ipfs/CID/photo.jpg
  cairn get CID -o - | sha256sum`,
		Args: exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			defer c.Close()
			return p.get(cmd.Context(), c, args[0], output, force)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "`file` or directory to write to; - is standard output")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite what is there")
	return cmd
}

func (p *program) catCmd() *cobra.Command {
	var offset, length int64
	cmd := &cobra.Command{
		Use:     "cat PATH...",
		Short:   "Write files of the network to standard output",
		Example: "  cairn cat CID | less\n  cairn cat --offset 1000 --length 24 CID",
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if offset < 0 || length < 0 {
				return usagef("cat: --offset and --length want 0 or more")
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			defer c.Close()
			for _, path := range args {
				if _, err := p.fetch(cmd.Context(), c, p.out, path, offset, length); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().Int64Var(&offset, "offset", 0, "`bytes` to leave out at the beginning")
	cmd.Flags().Int64Var(&length, "length", 0, "`bytes` to write; 0 is all")
	return cmd
}

// got is the summary of a get.
type got struct {
	Type  string  `json:"type"` // summary
	Path  string  `json:"path"`
	File  string  `json:"file"`
	Size  int64   `json:"size"`
	Files int     `json:"files,omitempty"` // of a tree
	Kept  int64   `json:"kept,omitempty"`  // bytes of size that a get which was cut off had left
	Took  float64 `json:"took"`
}

func (p *program) get(ctx context.Context, c *client.Client, path, output string, force bool) error {
	began := time.Now()
	s, err := p.look(ctx, c, path)
	if err != nil {
		return err
	}
	var n, kept int64
	files, summary := 0, p.out
	if s.Kind != blocks.KindFile && output == "-" {
		return usagef("get: %s is no file: it cannot be written to standard output", printable(path))
	}
	if s.Kind != blocks.KindFile {
		if output, err = target(path, output); err == nil {
			files, n, kept, err = p.getTree(ctx, c, s, output, force)
		}
	} else if output == "-" {
		summary = p.err
		n, err = p.fetch(ctx, c, p.out, path, 0, 0)
	} else {
		if output, err = target(path, output); err == nil {
			n, kept, err = p.save(ctx, c, s.CID, path, output, force)
		}
	}
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	if p.json {
		writeJSON(summary, got{"summary", path, output, n, files, kept, took})
		return nil
	}
	if kept > 0 {
		p.note("%s of it were here already", size(kept))
	}
	if s.Kind == blocks.KindDir {
		p.note("%s  %s  %s in %.2f s, verified", printable(output), count(files, "file"), size(n), took)
		return nil
	}
	p.note("%s  %s in %.2f s, verified", printable(output), size(n), took)
	return nil
}

// fetch writes what path names to w.
func (p *program) fetch(ctx context.Context, c *client.Client, w io.Writer, path string, offset, length int64) (int64, error) {
	ctx, watch, done := p.patience(ctx)
	defer done()
	m := p.meter()
	defer m.clear()
	defer m.answering()()
	m.show("looking for %s", printable(path))
	m.track(statusLine{Verb: "get", Phase: "looking", Name: path})
	r, total, err := c.Get(ctx, path, offset, length)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, began := int64(0), time.Now()
	src := reader{r, func(k int) {
		watch.moved()
		n += int64(k)
		m.track(statusLine{Verb: "get", Phase: "reading", Name: path, Done: n, Total: total})
		m.show("%s of %s  %s/s", size(n), size(total), size(int64(float64(n)/max(time.Since(began).Seconds(), 1e-3))))
	}}
	n, err = io.CopyBuffer(writer{w}, src, make([]byte, copied))
	if err == nil && n < total {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, fmt.Errorf("get: after %s of %s: %w", size(n), size(total), err)
	}
	return n, nil
}

// copied is how many bytes are taken from the daemon at once, and written.
const copied = 256 << 10

// writer is a writer and nothing else: a file's own way to copy has small pieces.
type writer struct{ io.Writer }

// target is the file to write path to.
func target(path, output string) (string, error) {
	info, err := os.Stat(output)
	isDir := output != "" && err == nil && info.IsDir()
	if output != "" && !isDir {
		return output, nil
	}
	name := lastName(path)
	if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
		return "", usagef("get: %q gives no name for the file: say one with -o", path)
	}
	return filepath.Join(output, name), nil
}

// lastName is the end of a path, or its CID.
func lastName(path string) string {
	address := strings.Contains(path, "://")
	if address {
		path, _, _ = strings.Cut(path, "?")
		path, _, _ = strings.Cut(path, "#")
	}
	name := strings.TrimSuffix(path, "/")
	name = name[strings.LastIndexByte(name, '/')+1:]
	if address {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		name, _, _ = strings.Cut(name, ".ipfs.") // CID.ipfs.host
	}
	return name
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
