package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/cairn-network/cairn/blocks"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// benchFlags are what a measurement may be asked for.
type benchFlags struct {
	size     string
	bytes    int64 // of size
	runs     int
	replicas int
	fanout   int    // holders to which a put brings each block itself; 0 is the peer's choice
	kubo     string // program to compare with; "" is none
}

func (p *program) benchCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what this machine's peers move, against what it could move",
		Long: `Measure what this machine's peers move, against what it could move.

Each run starts daemons of its own on loopback, in a temporary directory, and takes
them away again. The ceiling is one bare libp2p stream between two of those daemons
whose receiver hashes every MiB, before and after in the same run: no protocol that
checks what it receives can exceed it. MB are 1,000,000 bytes. What else this machine does
meanwhile shows in the spread; ratios suffer less from it than figures.`,
		RunE: group, Args: cobra.ArbitraryArgs,
	}
	cmd.AddCommand(
		p.oneBench(bench{
			name: "net", peers: 2, run: benchNet,
			title: func(o benchFlags) string { return "one bare stream between two peers, hashed by its receiver" },
		}, "Measure one bare stream between two daemons", `Measure one bare stream between two daemons: the ceiling of the other two.

The figure is one more such stream, between the two that are the ceiling of each run,
so that the ratio says how steady the machine is.`),
		p.oneBench(bench{
			name: "get", peers: 2, run: benchGet, kubo: kuboGet,
			title: func(o benchFlags) string { return "get from one other peer, cold and verified, to nowhere" },
		}, "Measure a get from one other daemon", `Measure a get from one other daemon: cold, verified, and thrown away.

With --kubo the same bytes are then read through two Kubo daemons: added to one with
1 MiB chunks and raw leaves, read from the other.`),
		p.oneBench(bench{
			name: "local", peers: 2, run: benchLocal, kubo: kuboLocal,
			title: func(o benchFlags) string { return "put on one peer alone, synced to its disk" },
		}, "Measure a put on one daemon alone", `Measure a put on one daemon alone, until it is synced to its disk.

With --kubo the same bytes are then added to one Kubo daemon, with 1 MiB chunks and
raw leaves. It is as it comes, and syncs nothing.`),
		p.oneBench(bench{
			name: "put", run: benchPut, kubo: kuboPut, sends: true,
			title: func(o benchFlags) string {
				return fmt.Sprintf("put with %d copies on other peers, each synced to its disk", o.replicas)
			},
		}, "Measure a put with all its copies on other daemons", `Measure a put until all its copies are on other daemons' disks.

What all peers sent together is compared with the least that could do: the copies.
With --kubo the same bytes are then added to one Kubo daemon, with 1 MiB chunks and
raw leaves, and pinned by another: one copy, however many cairn makes. Both sync
their blocks to the disk, as cairn does.`))
	return cmd
}

// bench is one kind of measurement.
type bench struct {
	name  string
	peers int // 0: one more than there are copies
	sends bool
	title func(benchFlags) string
	run   func(context.Context, *benchNetwork, benchFlags, int) (sample, error)
	kubo  func(context.Context, *kuboPair, benchFlags, int) (float64, error) // MB/s; nil: there is no such thing
}

func (p *program) oneBench(b bench, short, long string) *cobra.Command {
	var o benchFlags
	cmd := &cobra.Command{
		Use: b.name, Short: short, Long: long,
		Example: "  cairn bench " + b.name + "\n  cairn bench " + b.name + " --size 64MiB --runs 3 --json",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.parse(); err != nil {
				return err
			}
			return p.bench(cmd.Context(), b, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.size, "size", "256MiB", "`bytes` to move in a run, 1MiB to 1GiB")
	f.IntVar(&o.runs, "runs", 5, "`number` of runs, of which the median counts")
	o.replicas = 1
	if b.sends {
		f.IntVar(&o.replicas, "replicas", 3, "`number` of copies on other peers")
		f.IntVar(&o.fanout, "fanout", 0, "`number` of holders to which each block is sent, the closest of which passes it on; 0 is the peer's choice")
	}
	if b.kubo != nil {
		f.StringVar(&o.kubo, "kubo", "", "`path` of a Kubo program, to do the same work with in alternation")
	}
	return cmd
}

func (o *benchFlags) parse() error {
	n, err := humanize.ParseBytes(o.size)
	if err != nil || n < 1<<20 || n > 1<<30 {
		return usagef("--size %s: want 1MiB to 1GiB", o.size)
	}
	o.bytes = int64(n)
	if o.runs < 1 || o.runs > 100 {
		return usagef("--runs %d: want 1 to 100", o.runs)
	}
	if o.replicas < 1 || o.replicas > blocks.MaxReplicas {
		return usagef("--replicas %d: want 1 to %d", o.replicas, blocks.MaxReplicas)
	}
	if o.fanout < 0 || o.fanout > blocks.MaxReplicas {
		return usagef("--fanout %d: want 0 to %d", o.fanout, blocks.MaxReplicas)
	}
	if o.kubo == "" {
		return nil
	}
	if o.kubo, err = exec.LookPath(o.kubo); err != nil {
		return usagef("--kubo: %s", err)
	}
	return nil
}

// bench does all runs of b and tells of them. What it starts ends with it.
func (p *program) bench(ctx context.Context, b bench, o benchFlags) error {
	if b.peers == 0 {
		b.peers = o.replicas + 1
	}
	r := report{Type: "bench", Name: b.name, Size: o.bytes, Replicas: o.replicas}
	p.note("%s, %s, %d runs", b.title(o), humanize.IBytes(uint64(o.bytes)), o.runs)
	for i := range o.runs {
		s, err := benchRun(ctx, b, o, i)
		if err != nil {
			return fmt.Errorf("bench: run %d: %w", i+1, err)
		}
		r.Runs = append(r.Runs, s)
		p.note("run %d  %s", i+1, s)
	}
	r.sum()
	if p.json {
		writeJSON(p.out, r)
		return nil
	}
	return r.print(p.out)
}

// benchRun is one run, on daemons of its own.
func benchRun(ctx context.Context, b bench, o benchFlags, i int) (s sample, err error) {
	err = onPeers(ctx, b.peers, o.replicas, func(n *benchNetwork) error {
		s, err = b.run(ctx, n, o, i)
		return err
	})
	if err != nil || o.kubo == "" {
		return s, err
	}
	err = onKubo(ctx, o.kubo, b.sends, func(k *kuboPair) error {
		s.Kubo, err = b.kubo(ctx, k, o, i)
		return err
	})
	return s, err
}

// tempDir makes a directory for f and takes it away afterwards.
func tempDir(f func(dir string) error) (err error) {
	dir, err := os.MkdirTemp("", "cairn-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() {
		if e := os.RemoveAll(dir); err == nil {
			err = e
		}
	}()
	return f(dir)
}
