package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// putFlags are what a put may be asked for.
type putFlags struct {
	blocks.PutOptions
	wait, expires string
	quiet         bool
	recursive     bool

	chunker, version string
	rawLeaves        bool
}

func (p *program) putCmd() *cobra.Command {
	var o putFlags
	cmd := &cobra.Command{
		Use:        "put [-r] FILE...",
		Aliases:    []string{"add"},
		SuggestFor: []string{"ad", "upload", "publish"},
		Short:      "Keep files on this peer and on others, and print their CIDs",
		Long: `Keep files on this peer and on others, and print their CIDs, one a line. - is
standard input.

A put is done when every block has as many copies on other peers as --wait asks
for: local none, quorum 3 (or as many as there are other peers), full all of them.
With fewer the file is kept here and the daemon goes on spreading it: status 6.

With -r a FILE may be a directory. Everything in it is put under one CID: hidden
files, empty directories and symlinks, which are not followed. A file that vanishes or
changes while it is read, or that cannot be a part of a tree, is named and left out:
status 3.

A file that cannot be read does not keep the others from being put: status 3, or 1
if it is the only one.`,
		Example: `  cairn put README.md
  cairn put -r photos
  tar c photos | cairn put - --name photos.tar --wait full`,
		Args: some("a file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(args); err != nil {
				return err
			}
			if err := o.layout(cmd.Flags().Changed("raw-leaves")); err != nil {
				return err
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			defer c.Close()
			if !cmd.Flags().Changed("timeout") {
				p.timeout = 0 // the daemon gives up by itself when no copy is acknowledged
			}
			return p.putAll(cmd.Context(), c, o, args)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print CIDs and errors only")
	f.BoolVarP(&o.recursive, "recursive", "r", false, "put directories with everything in them")
	o.placing(f)
	f.StringVar(&o.Profile, "profile", "", "how to split it: the `name` of a UnixFS profile, unixfs-v1-2025 or unixfs-v0-2015 (default unixfs-v1-2025)")
	f.StringVar(&o.chunker, "chunker", "", "how to cut it: size-`N`, N bytes up to 2 MiB; changes the CID (default: the profile's)")
	f.BoolVar(&o.rawLeaves, "raw-leaves", false, "leaves are bytes of the file, or with =false nodes; changes the CID (default: the profile's)")
	f.StringVar(&o.version, "cid-version", "", "0 or 1: of the CIDs; 1 means raw leaves too (default: the profile's)")
	return cmd
}

// placing defines the flags of everything that is placed on other peers.
func (o *putFlags) placing(f *pflag.FlagSet) {
	f.StringVar(&o.wait, "wait", string(blocks.WaitQuorum), "local, quorum or full: how many copies to wait for")
	f.IntVar(&o.Replicas, "replicas", 0, "`number` of copies on other peers, 1 to 20; 0 is the daemon's choice")
	f.IntVar(&o.Fanout, "fanout", 0, "`number` of holders to send each block to, 1 to 20, the closest of which passes it on to the others; 0 is the daemon's choice: all on a LAN, else 2")
	f.StringVar(&o.expires, "expires", "", "how `long` others are asked to keep it, such as 180d; empty is the daemon's choice")
	f.BoolVar(&o.Announce, "announce", false, "tell everybody who listens to updates")
	f.StringVar(&o.Name, "name", "", "what to call it (default: the file's name)")
	f.BoolVar(&o.NoPlace, "no-place", false, "keep it here only")
}

// layout reads what differs from the profile.
func (o *putFlags) layout(rawLeaves bool) error {
	if o.chunker != "" {
		n, ok := strings.CutPrefix(o.chunker, "size-")
		bytes, err := strconv.ParseInt(n, 10, 64)
		if !ok || err != nil || bytes < 1 || bytes > blocks.MaxSize {
			return usagef("--chunker %s: want size-N, with N from 1 to %d", o.chunker, blocks.MaxSize)
		}
		o.Chunk = bytes
	}
	if o.version != "" && o.version != string(blocks.CIDv0) && o.version != string(blocks.CIDv1) {
		return usagef("--cid-version %s: want 0 or 1", o.version)
	}
	o.CIDs = blocks.Kinds(o.version)
	switch {
	case rawLeaves && o.rawLeaves:
		o.Leaves = blocks.LeavesRaw
	case rawLeaves:
		o.Leaves = blocks.LeavesDagPB
	}
	return nil
}

func (o *putFlags) parse(args []string) (err error) {
	if o.Wait, err = blocks.ParseWait(o.wait); err != nil {
		return usagef("--wait %s: want local, quorum or full", o.wait)
	}
	if o.Replicas < 0 || o.Replicas > blocks.MaxReplicas {
		return usagef("--replicas %d: want 1 to %d", o.Replicas, blocks.MaxReplicas)
	}
	if o.Fanout < 0 || o.Fanout > blocks.MaxReplicas {
		return usagef("--fanout %d: want 1 to %d", o.Fanout, blocks.MaxReplicas)
	}
	if o.Expires, err = lifetime(o.expires); err != nil {
		return err
	}
	if o.Name != "" && len(args) > 1 {
		return usagef("--name: want one file, got %d", len(args))
	}
	stdin := 0
	for _, a := range args {
		if a == "-" {
			stdin++
		}
	}
	if stdin > 1 {
		return usagef("put: standard input can be read once")
	}
	return nil
}

// putAll puts one file after the other. What cannot be read, and what has too few
// copies yet, does not keep the others from being put; any other failure does.
func (p *program) putAll(ctx context.Context, c *client.Client, o putFlags, files []string) error {
	var unread, partly []error
	var short error
	for _, file := range files {
		err := p.putOne(ctx, c, o, file)
		var said *client.Error
		var local *fs.PathError
		var left *leftOutError
		switch {
		case errors.As(err, &left):
			partly = append(partly, err)
		case errors.As(err, &said) && said.Code == api.CodeShort:
			if len(files) > 1 {
				p.note("cairn: %s: %s", file, err)
			}
			short = err
		case errors.As(err, &local) && cause(ctx) == nil:
			unread = append(unread, err)
		case err != nil:
			return err
		}
	}
	switch {
	case len(unread) == len(files):
		return errors.Join(unread...)
	case len(unread) == 0 && len(partly) == 1:
		return partly[0]
	case len(unread)+len(partly) > 0:
		return &partialError{append(unread, partly...), len(files)}
	}
	return short
}

// putOne puts one file, or a directory, and prints its CID.
func (p *program) putOne(ctx context.Context, c *client.Client, o putFlags, file string) error {
	if info, err := os.Stat(file); o.recursive && err == nil && info.IsDir() {
		return p.putTree(ctx, c, o, file)
	}
	in, length, err := p.openFile(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if o.Name == "" && file != "-" {
		o.Name = printable(strings.ToValidUTF8(filepath.Base(file), "?"))
	}
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
		m.track(statusLine{Verb: "put", Phase: "sending", Name: file, Done: sent, Total: length})
		if n > 0 && length > 0 {
			m.show("sending %s %d %%", printable(file), min(100, 100*sent/length))
		} else if n > 0 {
			m.show("sending %s %s", printable(file), size(sent))
		}
	}}
	return p.follow(o, m, w, func(tell func(blocks.Progress)) (blocks.Receipt, error) {
		return c.Put(ctx, src, o.PutOptions, tell)
	})
}

// follow sends a put and shows how far its copies are. At the end it prints the CID.
func (p *program) follow(o putFlags, m *meter, w *watch, send func(tell func(blocks.Progress)) (blocks.Receipt, error)) error {
	var last blocks.Progress
	receipt, err := send(func(now blocks.Progress) {
		if now.Safe != last.Safe || now.Blocks != last.Blocks {
			w.moved()
		}
		last = now
		m.track(copies(o.Name, now))
		if p.json {
			m.line(p.out, api.StatusLine{Type: api.LineStatus, Progress: now})
		} else if !o.NoPlace && now.Blocks > 0 && now.Members > 0 {
			m.show("%s", spreading(now))
		}
	})
	if receipt.Root.Defined() {
		m.clear()
		if !o.NoPlace && receipt.Members > 0 && receipt.Blocks > 0 {
			m.final("%s", spreading(receipt.Progress))
			m.clear()
		}
		p.printReceipt(o, receipt)
	}
	return err
}

// openFile opens what is to be put; length is 0 when it is not known.
func (p *program) openFile(file string) (in io.ReadCloser, length int64, err error) {
	if file == "-" {
		return io.NopCloser(p.in), 0, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, 0, fmt.Errorf("put: %w", err)
	}
	if info.IsDir() {
		return nil, 0, fmt.Errorf("put: %w", &fs.PathError{Op: "read", Path: file, Err: errDir})
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, fmt.Errorf("put: %w", err)
	}
	return f, info.Size(), nil
}

var errDir = errors.New("is a directory; put -r takes directories")

// spreading says how far the copies are: of the worst-kept block, and of all.
func spreading(p blocks.Progress) string {
	least := 0
	for least < len(p.Copies) && p.Copies[least] == 0 {
		least++
	}
	if least == len(p.Copies) {
		least = 0
	}
	return fmt.Sprintf("replicating %d/%d · %d of %s safe", least, min(p.Target, p.Members), p.Safe, count(p.Blocks, "block"))
}

// histogram says how many blocks have how many copies, the most first: {5:1021, 4:3}.
func histogram(copies []int) string {
	var parts []string
	for n := len(copies) - 1; n >= 0; n-- {
		if copies[n] > 0 {
			parts = append(parts, fmt.Sprintf("%d:%d", n, copies[n]))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// printReceipt prints the CID, and to people what was achieved.
func (p *program) printReceipt(o putFlags, r blocks.Receipt) {
	if p.json {
		writeJSON(p.out, api.SummaryLine{Type: api.LineSummary, Receipt: api.NewReceipt(r)})
		return
	}
	if !o.quiet {
		name := r.Name
		if name == "" {
			name = "-"
		}
		p.note("%s  %s  %s  %s  %.2f s", printable(name), size(r.Size), count(r.Blocks, "block"), kept(o, r), time.Duration(r.Took).Seconds())
	}
	fmt.Fprintln(p.out, r.Root)
}

// kept says where a file is. It promises nothing that was not waited for.
func kept(o putFlags, r blocks.Receipt) string {
	switch {
	case o.NoPlace:
		return "kept here only, as asked"
	case r.Members == 0:
		return "kept here only: no other peer is known"
	case o.Wait == blocks.WaitLocal:
		return "kept here; copies on other peers follow"
	case r.Least < min(r.Target, r.Members):
		return survives(r.Least) + ", copies " + histogram(r.Copies)
	}
	return survives(r.Least)
}

// survives says what least copies elsewhere of the worst-kept block are good for.
func survives(least int) string {
	switch least {
	case 0:
		return "kept here; not every block has a copy elsewhere yet"
	case 1:
		return "1 copy elsewhere: would survive this peer leaving"
	case 2:
		return "2 copies elsewhere: would survive this peer and any other one leaving"
	}
	return fmt.Sprintf("%d copies elsewhere: would survive this peer and any %d of the others leaving", least, least-1)
}
