package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// sample is one run. Its figures are MB/s, of 1,000,000 bytes.
type sample struct {
	Figure  float64 `json:"mbs"`
	Ceiling float64 `json:"ceiling_mbs"` // of two bare streams in the same run, before it and after
	Kubo    float64 `json:"kubo_mbs,omitempty"`
	Sent    int64   `json:"sent,omitempty"` // bytes that all peers sent, of a put
}

func (s sample) String() string {
	out := fmt.Sprintf("%7.1f MB/s  ceiling %7.1f  ratio %.2f", s.Figure, s.Ceiling, s.Figure/s.Ceiling)
	if s.Kubo > 0 {
		out += fmt.Sprintf("  kubo %7.1f  ratio %.2f", s.Kubo, s.Figure/s.Kubo)
	}
	if s.Sent > 0 {
		out += "  sent " + humanize.IBytes(uint64(s.Sent))
	}
	return out
}

// report is all runs and their medians.
type report struct {
	Type     string   `json:"type"` // bench
	Name     string   `json:"name"` // net, get, local or put
	Size     int64    `json:"size"` // bytes a run
	Replicas int      `json:"replicas,omitempty"`
	Runs     []sample `json:"runs"`

	Figure    middle `json:"mbs"`
	Ceiling   middle `json:"ceiling_mbs"`
	Ratio     middle `json:"ratio"` // to the ceiling of the same run
	Kubo      middle `json:"kubo_mbs"`
	KuboRatio middle `json:"kubo_ratio"`
	Excess    middle `json:"excess"` // bytes sent over the least that would do, as a share of it
}

// middle is the median of some figures, and the least and the most of them.
type middle struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// middleOf gives the middle of what f gives of each run.
func (r *report) middleOf(f func(sample) float64) (m middle) {
	var all []float64
	for _, s := range r.Runs {
		all = append(all, f(s))
	}
	if len(all) == 0 {
		return m
	}
	slices.Sort(all)
	half := len(all) / 2
	m = middle{all[half], all[0], all[len(all)-1]}
	if len(all)%2 == 0 {
		m.Median = (all[half-1] + all[half]) / 2
	}
	return m
}

// sum fills in the medians.
func (r *report) sum() {
	r.Figure = r.middleOf(func(s sample) float64 { return s.Figure })
	r.Ceiling = r.middleOf(func(s sample) float64 { return s.Ceiling })
	r.Ratio = r.middleOf(func(s sample) float64 { return s.Figure / s.Ceiling })
	if slices.ContainsFunc(r.Runs, func(s sample) bool { return s.Kubo > 0 }) {
		r.Kubo = r.middleOf(func(s sample) float64 { return s.Kubo })
		r.KuboRatio = r.middleOf(func(s sample) float64 { return s.Figure / s.Kubo })
	}
	if slices.ContainsFunc(r.Runs, func(s sample) bool { return s.Sent > 0 }) {
		least := float64(r.Size) * float64(r.Replicas)
		r.Excess = r.middleOf(func(s sample) float64 { return float64(s.Sent)/least - 1 })
	}
}

// print writes r as a table.
func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tmedian\tleast\tmost\t")
	row := func(name, format string, m middle) {
		if m != (middle{}) {
			one := "%s\t" + strings.Repeat(format+"\t", 3) + "\n"
			fmt.Fprintf(w, one, name, m.Median, m.Least, m.Most)
		}
	}
	row(r.Name+", MB/s", "%.1f", r.Figure)
	row("ceiling, MB/s", "%.1f", r.Ceiling)
	row("of the ceiling", "%.2f", r.Ratio)
	row("kubo, MB/s", "%.1f", r.Kubo)
	row("times kubo", "%.2f", r.KuboRatio)
	row("sent beyond the copies", "%.3f", r.Excess)
	return w.Flush()
}
