package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ipfs/boxo/path"
)

// The limits of a site's _redirects.
const (
	maxRedirects = 64 << 10 // bytes, the specification's
	maxRules     = 1000
	maxExpanded  = 64 << 10 // bytes of where a rule may lead
)

// lawfulRedirects refuses a _redirects that costs more to follow than a page is worth, and
// leaves f where it was. What was asked for by its own name is a file like any other.
func (b backend) lawfulRedirects(ctx context.Context, p path.ImmutablePath, f io.ReadSeeker, size int64) error {
	req := requestOf(ctx)
	segments := p.Segments()
	if len(segments) != 3 || segments[2] != "_redirects" || strings.HasSuffix(req.path, "/_redirects") || size > maxRedirects {
		return nil // boxo refuses one that is longer before it looks at a rule
	}
	data, err := io.ReadAll(io.LimitReader(f, maxRedirects))
	if err != nil {
		return err
	}
	if why := redirectBomb(data, req.path); why != "" {
		f := &failure{status: http.StatusUnprocessableEntity, why: "_redirects: " + why, asked: -1}
		return req.fail(f).(*failure).asError()
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// redirectBomb says why the rules in data are not applied to path, "" if they are.
func redirectBomb(data []byte, path string) string {
	rules := 0
	for line := range bytes.Lines(data) {
		words := strings.Fields(string(line))
		if len(words) < 2 || words[0][0] == '#' {
			continue
		}
		if rules++; rules > maxRules {
			return fmt.Sprintf("more than %d rules", maxRules)
		}
		if len(words[1])+strings.Count(words[1], ":")*len(path) > maxExpanded {
			return fmt.Sprintf("rule %d leads to more than %d bytes", rules, maxExpanded)
		}
		for part := range strings.SplitSeq(words[0], "/") {
			// A value that holds a placeholder is filled in again, and so on.
			if len(part) > 1 && part[0] == ':' && strings.Contains(path, part) || part == "*" && strings.Contains(path, ":splat") {
				return fmt.Sprintf("the path holds %q, a placeholder of rule %d", part, rules)
			}
		}
	}
	return ""
}
