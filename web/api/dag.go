package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/multiformats/go-multicodec"
)

// Blocks is what the API needs of a peer for blocks as such, whatever they are made of.
type Blocks interface {
	// ImportCAR keeps the blocks of a CAR and everything under its roots. A *blocks.CARError
	// or a *blocks.GapError says what is wrong with it.
	ImportCAR(ctx context.Context, r io.Reader, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error)
	// ExportCAR writes everything under path to w as a CAR; nothing before its root is here.
	ExportCAR(ctx context.Context, path string, w io.Writer) (blocks.DAGStat, error)
	// GetBlock gives the block that path names.
	GetBlock(ctx context.Context, path string) (blocks.Block, error)
	// PutBlock keeps b, and what is under it, as ImportCAR keeps a root.
	PutBlock(ctx context.Context, b blocks.Block, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error)
}

// Imported is a blocks.Imported whose CIDs are written as strings.
type Imported struct {
	Blocks int            `json:"blocks"` // distinct ones that came
	Bytes  int64          `json:"bytes"`  // of those
	Loose  int            `json:"loose"`  // of them: kept as what was merely read
	Roots  []Receipt      `json:"roots"`
	Took   blocks.Seconds `json:"took"`
}

// ImportLine is the end of an import that reached what was waited for.
type ImportLine struct {
	Type string `json:"type"` // summary
	Imported
}

// NewImported makes i ready to be written.
func NewImported(i blocks.Imported) Imported {
	out := Imported{Blocks: i.Blocks, Bytes: i.Bytes, Loose: i.Loose, Roots: []Receipt{}, Took: i.Took}
	for _, r := range i.Roots {
		r.Copies = list(r.Copies)
		out.Roots = append(out.Roots, NewReceipt(r))
	}
	return out
}

// Parse undoes NewImported.
func (i Imported) Parse() (blocks.Imported, error) {
	out := blocks.Imported{Blocks: i.Blocks, Bytes: i.Bytes, Loose: i.Loose, Took: i.Took}
	for _, r := range i.Roots {
		one, err := r.Parse()
		if err != nil {
			return out, err
		}
		out.Roots = append(out.Roots, one)
	}
	return out, nil
}

// DAGStat is how much is under a root.
type DAGStat struct {
	CID    string `json:"cid"`
	Blocks int    `json:"blocks"`
	Bytes  int64  `json:"bytes"`
}

// BlockStat is what is known of one block.
type BlockStat struct {
	CID  string `json:"cid"`
	Size int64  `json:"size"`
}

// carType is the media type of a CAR.
const carType = "application/vnd.ipld.car"

func (s *server) dagImport(w http.ResponseWriter, r *http.Request) {
	p, o := importOptions(r)
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	s.receive(w, r, o.Name, func(ctx context.Context, _ *job, body io.Reader, tell func(blocks.Progress)) (kept, error) {
		return imported(s.n.ImportCAR(ctx, body, o, tell))
	})
}

// imported is what became of an import, for [server.receive].
func imported(i blocks.Imported, err error) (kept, error) {
	out := NewImported(i)
	receipt := Receipt{Receipt: blocks.Receipt{Size: i.Bytes, Progress: blocks.Progress{Blocks: i.Blocks, Copies: []int{}}, Took: i.Took}}
	if len(out.Roots) > 0 {
		receipt = out.Roots[0]
	}
	return kept{ImportLine{LineSummary, out}, receipt, func(l *ErrorLine) { l.Import = &out }}, err
}

// exportBytes is how much of a CAR is made before any of it is sent: what fails before is a
// problem, what fails after it breaks the connection.
const exportBytes = 256 << 10

func (s *server) dagExport(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path")
	name := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, moved, end := s.untilIdle(r)
	defer end()
	dst := &sink{ResponseWriter: w, rc: http.NewResponseController(w), idle: s.cfg.Timing.GetIdle, moved: moved}
	defer func() { _ = dst.rc.SetWriteDeadline(time.Time{}) }()
	w.Header().Set("Content-Type", carType+"; version=1; order=dfs; dups=n")
	w.Header().Set("Content-Disposition", attachment(name+".car", "export.car"))
	if r.Method == http.MethodHead {
		return
	}
	out := bufio.NewWriterSize(dst, exportBytes)
	_, err := s.n.ExportCAR(ctx, name, alive{out, moved})
	if err == nil {
		err = out.Flush()
	}
	switch {
	case err != nil && dst.begun:
		s.cfg.Log.Debug("export broken off", "path", name, "err", because(ctx, err))
		_ = dst.rc.Flush()
		panic(http.ErrAbortHandler)
	case err != nil:
		w.Header().Del("Content-Disposition")
		s.fail(w, r, because(ctx, err))
	}
}

// alive says that something was written.
type alive struct {
	io.Writer
	moved func()
}

func (a alive) Write(p []byte) (int, error) {
	a.moved()
	return a.Writer.Write(p)
}

// dagStat reads everything under a path, and says how much it is.
func (s *server) dagStat(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path")
	name := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, moved, end := s.untilIdle(r)
	defer end()
	st, err := s.n.ExportCAR(ctx, name, alive{io.Discard, moved})
	if err != nil {
		s.fail(w, r, because(ctx, err))
		return
	}
	s.reply(w, http.StatusOK, DAGStat{text(st.Root), st.Blocks, st.Bytes})
}

func (s *server) oneBlock(w http.ResponseWriter, r *http.Request) (b blocks.Block, ok bool) {
	p := query(r, "path")
	name := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return b, false
	}
	ctx, cancel := s.patient(r.Context())
	defer cancel()
	b, err := s.n.GetBlock(ctx, name)
	if err != nil {
		s.fail(w, r, because(ctx, err))
		return b, false
	}
	return b, true
}

func (s *server) block(w http.ResponseWriter, r *http.Request) {
	b, ok := s.oneBlock(w, r)
	if !ok {
		return
	}
	id := b.Cid().String()
	w.Header().Set("Content-Type", "application/vnd.ipld.raw")
	w.Header().Set("Content-Disposition", attachment(id+".bin", id))
	w.Header().Set("X-Cid", id)
	w.Header().Set("Content-Length", fmt.Sprint(len(b.RawData())))
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(s.cfg.Timing.GetIdle))
	defer func() { _ = rc.SetWriteDeadline(time.Time{}) }()
	if _, err := w.Write(b.RawData()); err != nil {
		s.cfg.Log.Debug("client left", "err", err)
	}
}

func (s *server) blockStat(w http.ResponseWriter, r *http.Request) {
	if b, ok := s.oneBlock(w, r); ok {
		s.reply(w, http.StatusOK, BlockStat{text(b.Cid()), int64(len(b.RawData()))})
	}
}

func (s *server) blockPut(w http.ResponseWriter, r *http.Request) {
	p, o := importOptions(r, "codec", "mhtype")
	codec, function := p.code("codec", multicodec.Raw), p.code("mhtype", multicodec.Sha2_256)
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	s.receive(w, r, o.Name, func(ctx context.Context, _ *job, body io.Reader, tell func(blocks.Progress)) (kept, error) {
		data, err := io.ReadAll(io.LimitReader(body, blocks.MaxSize+1))
		if err != nil {
			return kept{}, err
		}
		b, err := blocks.Sum(uint64(codec), uint64(function), data)
		if err != nil {
			return kept{}, err
		}
		return imported(s.n.PutBlock(ctx, b, o, tell))
	})
}

// code is a name of the table of multicodecs.
func (p *params) code(name string, unset multicodec.Code) multicodec.Code {
	v := p.q.Get(name)
	if v == "" {
		return unset
	}
	var c multicodec.Code
	if err := c.Set(v); err != nil {
		p.bad(name, "want a name such as "+unset.String())
	}
	return c
}
