package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

func (p *program) pauseCmd(with withTestnet) *cobra.Command {
	return &cobra.Command{
		Use: "pause PEER...", Short: "Let peers hang: alive, connected and silent",
		Long: `Let peers hang: alive, connected and silent, as a machine that swaps or sleeps.

Their processes are stopped (SIGSTOP) and keep what they have, until a resume. The
others learn of it by the silence.`,
		Example: "  cairn testnet pause p3",
		Args:    some("a peer, such as p3"), RunE: with(true, p.testnetPause),
	}
}

func (p *program) resumeCmd(with withTestnet) *cobra.Command {
	return &cobra.Command{
		Use: "resume PEER...", Short: "Let paused peers go on",
		Example: "  cairn testnet resume p3",
		Args:    some("a peer, such as p3"), RunE: with(true, p.testnetResume),
	}
}

func (p *program) testnetPause(_ context.Context, t *testnet, names []string) error {
	return p.hold(t, names, true)
}

func (p *program) testnetResume(_ context.Context, t *testnet, names []string) error {
	return p.hold(t, names, false)
}

// hold pauses peers, or lets them go on. It is no error that they do already.
func (p *program) hold(t *testnet, names []string, pause bool) error {
	if !canPause {
		return errors.New("testnet: this system cannot pause a process")
	}
	peers, err := t.named(names, true)
	if err != nil {
		return err
	}
	for _, m := range peers {
		verb, sign := "resumed", "✓"
		if pause {
			verb, sign = "paused", "‖"
		}
		if err := m.hold(pause); err != nil {
			return fmt.Errorf("testnet: %s: %w", m.Name, err)
		}
		p.done(sign, verb, m)
	}
	return nil
}

// hold pauses the process or lets it go on, and waits until it does.
func (p process) hold(pause bool) error {
	sig := resume
	if pause {
		sig = suspend
	}
	if err := p.signal(sig); err != nil {
		return err
	}
	for end := time.Now().Add(2 * time.Second); p.paused() != pause; {
		if !p.alive() {
			return errEnded
		}
		if time.Now().After(end) {
			return errors.New("the system has not done so within 2 s")
		}
		<-time.After(5 * time.Millisecond)
	}
	return nil
}

// slowFlags are what a line may be asked to be.
type slowFlags struct {
	latency, jitter time.Duration
	rate            string
	off             bool
}

func (p *program) slowCmd(with withTestnet) *cobra.Command {
	var o slowFlags
	cmd := &cobra.Command{
		Use:   "slow PEER...",
		Short: "Make the lines of peers slow or late, or restore them",
		Long: `Make the lines of peers slow or late, or restore them.

A rate is what all connections of a peer have together, in each direction. Latency is
added to what the peer sends, so that a round trip takes it once for each slow end.
What is not given is taken away. It holds until --off, and until the peer is started
again. libp2p sizes the windows of a connection by the round trip that it measures
every 30 s: wait as long before you measure a line that was made late.`,
		Example: `  cairn testnet slow p3 --latency 200ms --jitter 50ms
  cairn testnet slow p1 p2 --rate 20MiB/s
  cairn testnet slow p1 p2 p3 --off`,
		Args: some("a peer, such as p3"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to, err := o.parse()
		if err != nil {
			return err
		}
		return with(false, func(ctx context.Context, t *testnet, names []string) error {
			return p.testnetSlow(ctx, t, names, to)
		})(cmd, args)
	}
	f := cmd.Flags()
	f.DurationVar(&o.latency, "latency", 0, "`time` that everything sent takes longer, at most 10s")
	f.DurationVar(&o.jitter, "jitter", 0, "`time` by which the latency differs, either way")
	f.StringVar(&o.rate, "rate", "", "`bytes` a second in each direction, such as 20MiB/s")
	f.BoolVar(&o.off, "off", false, "restore the lines")
	return cmd
}

func (o slowFlags) parse() (to api.Link, err error) {
	const most = 10 * time.Second
	for name, d := range map[string]time.Duration{"latency": o.latency, "jitter": o.jitter} {
		if d < 0 || d > most {
			return to, usagef("--%s %s: want 0 to %s", name, d, most)
		}
	}
	to.Latency, to.Jitter = blocks.Seconds(o.latency), blocks.Seconds(o.jitter)
	if o.rate != "" {
		n, err := humanize.ParseBytes(strings.TrimSuffix(o.rate, "/s"))
		if err != nil || n < 1 || n > 1<<30 {
			return to, usagef("--rate %s: want 1B/s to 1GiB/s", o.rate)
		}
		to.Rate = int64(n)
	}
	if to.Slow() == o.off {
		return to, usagef("testnet slow: want --latency, --jitter or --rate, or else --off")
	}
	return to, nil
}

func (p *program) testnetSlow(ctx context.Context, t *testnet, names []string, to api.Link) error {
	peers, err := t.named(names, true)
	if err != nil {
		return err
	}
	for _, m := range peers {
		l, err := m.setLink(ctx, to)
		if err != nil {
			return fmt.Errorf("testnet: slow %s: %w", m.Name, err)
		}
		if p.json {
			writeJSON(p.out, struct {
				Type string `json:"type"` // link
				Name string `json:"name"`
				api.Link
			}{"link", m.Name, l})
			continue
		}
		fmt.Fprintf(p.out, "✓ %s: %s\n", m.Name, lineWords(l))
	}
	return nil
}

func (m *member) setLink(ctx context.Context, to api.Link) (l api.Link, err error) {
	if m.paused() {
		return l, fmt.Errorf("it is paused: `cairn testnet resume %s` first", m.Name)
	}
	c, err := clientOf(node.HomeAt(m.Home), m.API)
	if err != nil {
		return l, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, fmt.Errorf("no answer within 10 s: %w", context.DeadlineExceeded))
	defer cancel()
	return c.SetLink(ctx, to)
}

// lineWords is how a line is, as 200ms±50ms, 20 MiB/s.
func lineWords(l api.Link) string {
	var words []string
	if l.Latency != 0 || l.Jitter != 0 {
		s := time.Duration(l.Latency).String()
		if l.Jitter != 0 {
			s += "±" + time.Duration(l.Jitter).String()
		}
		words = append(words, s)
	}
	if n := uint64(l.Rate); n != 0 && n%1e6 == 0 {
		words = append(words, humanize.Bytes(n)+"/s")
	} else if n != 0 {
		words = append(words, humanize.IBytes(n)+"/s")
	}
	if len(words) == 0 {
		return "as it is"
	}
	return strings.Join(words, ", ")
}
