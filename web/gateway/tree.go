package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	gopath "path"
	"strings"
	"sync"

	"github.com/ipfs/boxo/files"
	boxo "github.com/ipfs/boxo/gateway"
	ufile "github.com/ipfs/boxo/ipld/unixfs/file"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
)

// maxNesting is the deepest directory that is sent as an archive: each level is
// held while those below it are sent.
const maxNesting = 256

// GetAll gives what an archive is made of.
func (b backend) GetAll(ctx context.Context, p path.ImmutablePath) (boxo.ContentPathMetadata, files.Node, error) {
	md, err := b.ResolvePath(ctx, p)
	if err != nil {
		return md, nil, err
	}
	from := nodes{&depths{DAGService: b.nodes.DAGService, req: requestOf(ctx), of: map[cid.Cid]int{}}}
	nd, err := from.Get(ctx, md.LastSegment.RootCid())
	if err != nil {
		return md, nil, err
	}
	n, err := ufile.NewUnixfsFile(ctx, from, nd)
	if err != nil {
		return md, nil, err
	}
	if _, ok := n.(*files.Symlink); ok {
		return md, n, nil
	}
	size := int64(len(nd.RawData()))
	if len(nd.Links()) > 0 {
		size = blockRoom
	}
	leave, err := b.memory.hold(ctx, size)
	if err != nil {
		return md, nil, errors.Join(err, n.Close())
	}
	leave = sync.OnceFunc(leave)
	switch is := n.(type) {
	case files.Directory:
		n = &archive{tree{is, requestOf(ctx), md.LastSegment.RootCid().String(), md.LastSegment.RootCid().String(), 1}, leave}
	case files.File:
		n = &archived{is, leave}
	}
	return md, n, nil
}

// archive is a tree that is being sent, with its room in the memory.
type archive struct {
	tree
	leave func()
}

// Close gives the room back.
func (a *archive) Close() error {
	defer a.leave()
	return a.tree.Close()
}

// archived is a file that is sent as an archive, with its room in the memory.
type archived struct {
	files.File
	leave func()
}

// Close gives the room back.
func (a *archived) Close() error {
	defer a.leave()
	return a.File.Close()
}

// tree is a directory of an archive, none of whose names leads out of its root.
type tree struct {
	files.Directory
	req      *request
	root, at string // the root's name in the archive, and this directory's
	depth    int
}

// Entries is files.Directory's.
func (t tree) Entries() files.DirIterator { return &entries{DirIterator: t.Directory.Entries(), t: t} }

// entries goes through a tree.
type entries struct {
	files.DirIterator
	t   tree
	err error
}

// Next is files.DirIterator's.
func (e *entries) Next() bool {
	if e.err != nil || !e.DirIterator.Next() {
		return false
	}
	why := ""
	switch at := gopath.Join(e.t.at, e.Name()); {
	case !strings.HasPrefix(at, e.t.root+"/"):
		why = fmt.Sprintf("%q leads out of the directory that was asked for", e.Name())
	case strings.Contains(e.Name(), "\x00"):
		why = fmt.Sprintf("%q is no name of a file", e.Name())
	case e.t.depth > maxNesting:
		why = fmt.Sprintf("directories nested deeper than %d", maxNesting)
	default:
		return true
	}
	e.err = e.t.req.fail(&failure{status: http.StatusUnprocessableEntity, why: why + ": ask for a CAR instead", asked: -1})
	return false
}

// Node is files.DirIterator's.
func (e *entries) Node() files.Node {
	n := e.DirIterator.Node()
	if d, ok := n.(files.Directory); ok {
		return tree{d, e.t.req, e.t.root, gopath.Join(e.t.at, e.Name()), e.t.depth + 1}
	}
	return n
}

// Err is files.DirIterator's.
func (e *entries) Err() error {
	if e.err != nil {
		return e.err
	}
	return e.DirIterator.Err()
}
