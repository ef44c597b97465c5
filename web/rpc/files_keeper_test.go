package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/web/rpc"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

const filesPin = "mutable files"

var errDead = errors.New("the peer is dead")

// keeper is a peer that keeps mutable files, and collects what nobody wants.
type keeper struct {
	*peer
	open bool  // nothing is protected: the control
	full error // what a draft answers when it writes

	lock   sync.Mutex
	held   []cid.Cid
	claims map[string]int
	kept   []cid.Cid   // every root that Keep had, in order
	left   int         // calls until the peer is dead; less than 0: it lives
	few    atomic.Bool // no root gets its quorum
	unfit  atomic.Bool // no root can be kept
}

func newKeeper() *keeper { return &keeper{peer: newPeer(), claims: map[string]int{}, left: -1} }

// placed gives the roots that Keep had, and forgets them if forget is set.
func (k *keeper) placed(forget bool) []cid.Cid {
	k.lock.Lock()
	defer k.lock.Unlock()
	all := slices.Clone(k.kept)
	if forget {
		k.kept = nil
	}
	return all
}

// lives has the peer live for that many calls, for ever if less than 0, and says how many
// were left.
func (k *keeper) lives(calls int) (left int) {
	k.lock.Lock()
	defer k.lock.Unlock()
	left, k.left = k.left, calls
	return left
}

// dies counts a call that does something.
func (k *keeper) dies() error {
	k.lock.Lock()
	defer k.lock.Unlock()
	if k.left == 0 {
		return errDead
	}
	if k.left > 0 {
		k.left--
	}
	return nil
}

func (k *keeper) Hold(roots ...cid.Cid) {
	k.lock.Lock()
	defer k.lock.Unlock()
	k.held = slices.Clone(roots)
}

func (k *keeper) Keep(ctx context.Context, root cid.Cid) error {
	if err := k.dies(); err != nil {
		return err
	}
	if k.unfit.Load() {
		return blocks.ErrUnfit
	}
	k.mu.Lock()
	pin, ok := k.pins[root]
	k.mu.Unlock()
	if ok && pin.Name != filesPin {
		return nil
	}
	_, err := k.Pin(ctx, root.String(), filesPin, func(blocks.Progress) {})
	k.lock.Lock()
	defer k.lock.Unlock()
	k.kept = append(k.kept, root)
	return err
}

func (k *keeper) Await(context.Context, cid.Cid) error {
	if k.few.Load() {
		return &blocks.ShortError{}
	}
	return k.dies()
}

func (k *keeper) Displace(_ context.Context, root cid.Cid) error {
	if err := k.dies(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pins[root].Name == filesPin {
		delete(k.pins, root)
	}
	return nil
}

// ours are the roots of the pins of the mutable files.
func (k *keeper) ours() (all []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for root, pin := range k.pins {
		if pin.Name == filesPin {
			all = append(all, root.String())
		}
	}
	return all
}

func (k *keeper) Draft() rpc.Draft { return &draft{k: k, new: map[cid.Cid]bool{}} }

type draft struct {
	k   *keeper
	all []cid.Cid
	new map[cid.Cid]bool
}

func (d *draft) claim(c cid.Cid) {
	d.k.lock.Lock()
	defer d.k.lock.Unlock()
	d.k.claims[string(c.Hash())]++
	d.all = append(d.all, c)
}

func (d *draft) Put(ctx context.Context, bs ...blocks.Block) error {
	if d.k.full != nil {
		return d.k.full
	}
	for _, b := range bs {
		d.claim(b.Cid())
		if has, err := d.k.bs.Blockstore().Has(ctx, b.Cid()); err != nil || has {
			continue
		}
		d.new[b.Cid()] = true
	}
	plain := make([]block.Block, 0, len(bs))
	for _, b := range bs {
		plain = append(plain, b)
	}
	return d.k.bs.AddBlocks(ctx, plain)
}

func (d *draft) Fetch(ctx context.Context, root cid.Cid, tell func(blocks.Progress)) error {
	n := 0
	for v, err := range dag.Walk(ctx, d.k.dag, root) {
		if err != nil {
			return err
		}
		d.claim(v.CID)
		if has, err := d.k.bs.Blockstore().Has(ctx, v.CID); err != nil || !has {
			return errors.Join(err, blocks.NotFound(v.CID))
		}
		n++
		tell(blocks.Progress{Blocks: n, Safe: n})
	}
	return nil
}

func (d *draft) Close(kept bool) {
	d.k.lock.Lock()
	defer d.k.lock.Unlock()
	for _, c := range d.all {
		d.k.claims[string(c.Hash())]--
		if !kept && d.new[c] && d.k.claims[string(c.Hash())] == 0 {
			_ = d.k.bs.Blockstore().DeleteBlock(context.Background(), c)
		}
	}
	d.all = nil
}

// collect forgets what is under no pin, not held and not claimed, and says how many blocks.
func (k *keeper) collect(ctx context.Context) (gone int, err error) {
	var roots []cid.Cid
	for p := range k.Pins(ctx) {
		roots = append(roots, p.Root)
	}
	k.lock.Lock()
	defer k.lock.Unlock()
	if !k.open {
		roots = append(roots, k.held...)
	}
	wanted := map[string]bool{}
	for _, root := range roots {
		for v, err := range dag.Walk(ctx, k.dag, root) {
			if err != nil {
				return 0, err
			}
			wanted[string(v.CID.Hash())] = true
		}
	}
	all, err := k.bs.Blockstore().AllKeysChan(ctx)
	if err != nil {
		return 0, err
	}
	for c := range all {
		if wanted[string(c.Hash())] || !k.open && k.claims[string(c.Hash())] > 0 {
			continue
		}
		gone++
		if err := k.bs.Blockstore().DeleteBlock(ctx, c); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// shell asks for commands of files of one server.
type shell struct {
	t fataler
	s *rpc.Server
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// ask runs files/cmd with args, options as a=b, and body as the form's file unless it is nil.
func (sh shell) ask(cmd string, args []string, options []string, body io.Reader) *httptest.ResponseRecorder {
	sh.t.Helper()
	q := url.Values{}
	for _, a := range args {
		q.Add("arg", a)
	}
	for _, o := range options {
		k, v, _ := strings.Cut(o, "=")
		q.Set(k, v)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/v0/files/"+cmd+"?"+q.Encode(), body)
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	w := httptest.NewRecorder()
	sh.s.RPC().ServeHTTP(w, r)
	return w
}

// file is a form of one file.
func file(text string) io.Reader {
	return strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: application/octet-stream\r\n\r\n" + text + "\r\n--x--\r\n")
}

// must runs a command that has to succeed, and gives what it answers.
func (sh shell) must(cmd string, args []string, options ...string) string {
	sh.t.Helper()
	w := sh.ask(cmd, args, options, nil)
	if w.Code != 200 {
		sh.t.Fatalf("files %s %q %q: %d %s", cmd, args, options, w.Code, w.Body)
	}
	return w.Body.String()
}

func (sh shell) write(p, text string, options ...string) {
	sh.t.Helper()
	if w := sh.ask("write", []string{p}, append([]string{"create=true"}, options...), file(text)); w.Code != 200 {
		sh.t.Fatalf("files write %s %q: %d %s", p, options, w.Code, w.Body)
	}
}

func (sh shell) stat(p string, options ...string) (st rpc.FileStat) {
	sh.t.Helper()
	if err := json.Unmarshal([]byte(sh.must("stat", []string{p}, options...)), &st); err != nil {
		sh.t.Fatalf("%v", err)
	}
	return st
}

// tree gives every file below dir with its bytes, and every directory with none, by path.
func (sh shell) tree(dir string) map[string]string {
	sh.t.Helper()
	all := map[string]string{}
	var out struct {
		Entries []struct {
			Name string
			Type int
			Size int
			Hash string
		}
	}
	if err := json.Unmarshal([]byte(sh.must("ls", []string{dir}, "long=true")), &out); err != nil {
		sh.t.Fatalf("%v", err)
	}
	for _, e := range out.Entries {
		p := strings.TrimSuffix(dir, "/") + "/" + e.Name
		if e.Type == 0 {
			if all[p] = sh.must("read", []string{p}); len(all[p]) != e.Size {
				sh.t.Errorf("%s: %d bytes, and %d listed", p, len(all[p]), e.Size)
			}
			continue
		}
		all[p+"/"] = ""
		for k, v := range sh.tree(p) {
			all[k] = v
		}
	}
	return all
}

func rooted(k *keeper, dir string) *rpc.Server {
	return rpc.New(k, rpc.Config{Dir: dir, Idle: time.Minute})
}
