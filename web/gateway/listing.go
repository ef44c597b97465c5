package gateway

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"math/bits"
	"net/url"
	"strconv"
	"strings"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/spaolacci/murmur3"
)

// pageEntries is how many entries of a directory are listed at once.
const pageEntries = 1000

// entries gives one page of the directory t: those behind the one that was asked for, in
// the order of its blocks. Of a sharded one it reads the blocks of this page and no others.
// Its goroutine ends with the page or with ctx.
func (b backend) entries(ctx context.Context, t thing) <-chan unixfs.LinkResult {
	out := make(chan unixfs.LinkResult)
	req := requestOf(ctx)
	l := lister{get: merkledag.NewSession(ctx, b.nodes), after: req.after, seeking: req.after != "", hash: murmur3.Sum64([]byte(req.after))}
	l.give = func(r unixfs.LinkResult) bool {
		select {
		case out <- r:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(out)
		if err := l.dir(ctx, t); err != nil {
			l.give(unixfs.LinkResult{Err: err})
		}
		if l.more {
			req.goesOn(l.last)
		}
	}()
	return out
}

// lister walks a directory until a page is full.
type lister struct {
	get     ipld.NodeGetter
	give    func(unixfs.LinkResult) bool
	after   string // the entry before the first one wanted
	hash    uint64 // of it
	seeking bool   // what was given so far is before that
	count   int    // entries given
	last    string // of them
	more    bool   // there is another
	over    bool   // nobody takes more
}

func (l *lister) dir(ctx context.Context, t thing) error {
	n := t.node.(*merkledag.ProtoNode)
	if t.fs.Type() == unixfs.THAMTShard {
		return l.shard(ctx, n, t.fs, 0)
	}
	for _, link := range n.Links() {
		if l.seeking {
			l.seeking = link.Name != l.after
			continue
		}
		if l.entry(link.Name, link); l.over {
			return nil
		}
	}
	return nil
}

// shard walks one block of a sharded directory, used bits of the hash of a name below its root.
func (l *lister) shard(ctx context.Context, n *merkledag.ProtoNode, f *unixfs.FSNode, used int) error {
	width := bits.TrailingZeros64(f.Fanout())
	if used+width > 64 {
		return fmt.Errorf("gateway: %s: a shard too deep", n.Cid())
	}
	prefix := len(fmt.Sprintf("%X", f.Fanout()-1))
	sought := l.hash << used >> (64 - width)
	for _, link := range n.Links() {
		if len(link.Name) < prefix {
			return fmt.Errorf("gateway: %s: a shard with a link %q", n.Cid(), link.Name)
		}
		slot, err := strconv.ParseUint(link.Name[:prefix], 16, 64)
		if err != nil {
			return fmt.Errorf("gateway: %s: a shard with a link %q", n.Cid(), link.Name)
		}
		name, value := link.Name[prefix:], len(link.Name) > prefix
		switch {
		case l.seeking && slot < sought:
			continue
		case l.seeking && (slot > sought || value):
			l.seeking = false
			if value && name == l.after {
				continue
			}
		}
		if value {
			if l.entry(name, link); l.over {
				return nil
			}
			continue
		}
		below, err := l.get.Get(ctx, link.Cid)
		if err != nil {
			return err
		}
		sub, ok := below.(*merkledag.ProtoNode)
		if !ok {
			return fmt.Errorf("gateway: %s: no shard", link.Cid)
		}
		sf, err := unixfs.FSNodeFromBytes(sub.Data())
		if err != nil || sf.Type() != unixfs.THAMTShard {
			return fmt.Errorf("gateway: %s: no shard", link.Cid)
		}
		if err := l.shard(ctx, sub, sf, used+width); err != nil || l.over {
			return err
		}
		l.seeking = false
	}
	return nil
}

// entry gives one entry, or notes that there is one more than has room.
func (l *lister) entry(name string, link *ipld.Link) {
	if l.count == pageEntries {
		l.more, l.over = true, true
		return
	}
	l.count++
	l.last = name
	l.over = !l.give(unixfs.LinkResult{Link: &ipld.Link{Name: shown(name), Size: link.Size, Cid: link.Cid}})
}

// shown is a name as it stands in a list: one that is no name of a file, and whose link
// would lead out of the directory, in the escapes of a URL, so that it leads nowhere.
func shown(name string) string {
	if name == "" || name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E") + strings.Repeat("%20", max(0, 1-len(name)))
	}
	return strings.NewReplacer("/", "%2F", "\x00", "%00").Replace(name)
}

// onward is what is put at the end of a page that is followed by another.
var onward = template.Must(template.New("").Parse(`<p class="next"><a rel="next" href="{{.}}">The entries after these</a></p>`))

// withNext is b, a piece of a page, with a link to the next one before the end of its body.
func withNext(b []byte, last string) []byte {
	i := bytes.Index(b, []byte("</main>"))
	if i < 0 {
		return b
	}
	var link bytes.Buffer
	if err := onward.Execute(&link, "?after="+url.QueryEscape(last)); err != nil {
		panic(err) // a buffer takes all
	}
	out := make([]byte, 0, len(b)+link.Len())
	out = append(append(out, b[:i]...), link.Bytes()...)
	return append(out, b[i:]...)
}
