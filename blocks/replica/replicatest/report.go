package replicatest

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Figure is one figure of a scenario beside what it should be.
type Figure struct {
	ID     string // of the scenario
	Name   string
	Value  float64
	Op     string // <=, >=, = or >; of the value and the target
	Target float64
	Expect string // what arithmetic says
	Seed   uint64
}

// Met reports whether the value is as it should be.
func (f Figure) Met() bool {
	switch f.Op {
	case "<=":
		return f.Value <= f.Target
	case ">=":
		return f.Value >= f.Target
	case ">":
		return f.Value > f.Target
	}
	return f.Value == f.Target
}

func num(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// String is the line of f.
func (f Figure) String() string {
	s := fmt.Sprintf("REL %s %s=%s target%s%s", f.ID, f.Name, num(f.Value), f.Op, num(f.Target))
	if f.Expect != "" {
		s += " expect=" + strconv.Quote(f.Expect)
	}
	return s + fmt.Sprintf(" seed=%d", f.Seed)
}

func (f Figure) row() string {
	met := "yes"
	if !f.Met() {
		met = "**no**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s %s | %s | %s | %d |", f.ID, f.Name, num(f.Value), f.Op, num(f.Target), f.Expect, met, f.Seed)
}

// Table writes figures into the file at path in place of those that it has of the same
// scenarios. Before the table stands head, or if that is empty what stood there before.
func Table(path, head string, figures []Figure) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("replicatest: table: %w", err)
	}
	const top = "| id | figure | measured | target | arithmetic | met | seed |\n|---|---|---|---|---|---|---|\n"
	var rows []string
	before, body, ok := strings.Cut(string(old), top)
	if head == "" {
		head = before
	}
	if ok {
		for line := range strings.Lines(body) {
			f := strings.SplitN(line, "|", 3)
			fresh := func(x Figure) bool { return x.ID == strings.TrimSpace(f[1]) }
			if len(f) == 3 && !slices.ContainsFunc(figures, fresh) {
				rows = append(rows, strings.TrimRight(line, "\n"))
			}
		}
	}
	for _, f := range figures {
		rows = append(rows, f.row())
	}
	id := func(row string) string { return strings.TrimSpace(strings.SplitN(row, "|", 3)[1]) }
	slices.SortStableFunc(rows, func(a, b string) int { return strings.Compare(id(a), id(b)) })
	text := strings.TrimSpace(head) + "\n\n" + top + strings.Join(rows, "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("replicatest: table: %w", err)
	}
	return nil
}
