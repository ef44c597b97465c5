package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipld/merkledag"
	"golang.org/x/sync/errgroup"
)

// pull reads url to its end and gives the digest, or none if it is not asked for.
func pull(ctx context.Context, url string, digest bool) (sum [32]byte, n int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return sum, 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return sum, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return sum, 0, fmt.Errorf("%s: %s", url, res.Status)
	}
	to, h := io.Discard, sha256.New()
	if digest {
		to = h
	}
	n, err = io.CopyBuffer(struct{ io.Writer }{to}, res.Body, make([]byte, 1<<20))
	return [32]byte(h.Sum(nil)), n, err
}

// timed pulls n bytes from url and gives how long that took.
func timed(t *testing.T, url string, n int64) time.Duration {
	t.Helper()
	began := time.Now()
	if _, got, err := pull(t.Context(), url, false); err != nil || got != n {
		t.Fatalf("%s: %d bytes, %v", url, got, err)
	}
	return time.Since(began)
}

// together pulls each of urls at the same time, and gives how long all took.
func together(t *testing.T, urls []string, want [32]byte) time.Duration {
	t.Helper()
	began := time.Now()
	g, ctx := errgroup.WithContext(t.Context())
	for _, url := range urls {
		g.Go(func() error {
			sum, _, err := pull(ctx, url, true)
			if err == nil && sum != want {
				err = errors.New("other bytes than were put")
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

// other is a daemon of Kubo beside ours, on loopback and alone.
type other struct{ bin, home, gateway string }

// beside starts Kubo, CAIRN_KUBO or else ipfs on PATH. false: there is none.
func beside(t *testing.T) (other, bool) {
	t.Helper()
	bin := os.Getenv("CAIRN_KUBO")
	if bin == "" {
		var err error
		if bin, err = exec.LookPath("ipfs"); err != nil {
			return other{}, false
		}
	}
	o := other{bin: bin, home: t.TempDir()}
	o.run(t, nil, "init", "--profile", "test")
	port := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	at := port()
	o.gateway = "http://127.0.0.1:" + at
	o.run(t, nil, "config", "Addresses.Gateway", "/ip4/127.0.0.1/tcp/"+at)
	o.run(t, nil, "config", "--json", "Addresses.Swarm", `["/ip4/127.0.0.1/tcp/`+port()+`"]`)
	o.run(t, nil, "config", "--json", "Bootstrap", "[]")
	c := o.command("daemon")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, _, err := pull(t.Context(), o.gateway+"/ipfs/bafkqaaa", false); err == nil {
			return o, true
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func (o other) command(args ...string) *exec.Cmd {
	c := exec.Command(o.bin, args...)
	c.Env = append(os.Environ(), "IPFS_PATH="+o.home)
	return c
}

func (o other) run(t *testing.T, in io.Reader, args ...string) string {
	t.Helper()
	c := o.command(args...)
	var said bytes.Buffer
	c.Stdin, c.Stderr = in, &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", args[0], err, said.String())
	}
	return strings.TrimSpace(string(out))
}

// confine holds a process to so many bytes of memory, where this test may.
func confine(t *testing.T, pid int, most int64) (killed func() bool) {
	t.Helper()
	dir := filepath.Join("/sys/fs/cgroup/memory", "cairn-bench-"+strconv.Itoa(pid))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("SKIP: needs a memory cgroup: %v", err)
	}
	t.Cleanup(func() { // p is killed with its testnet, or goes back
		_ = os.WriteFile("/sys/fs/cgroup/memory/cgroup.procs", []byte(strconv.Itoa(pid)), 0)
		_ = os.Remove(dir)
	})
	for file, value := range map[string]int64{"memory.limit_in_bytes": most, "cgroup.procs": int64(pid)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(value, 10)), 0); err != nil {
			t.Fatal(err)
		}
	}
	return func() bool {
		said, err := os.ReadFile(filepath.Join(dir, "memory.oom_control"))
		return err != nil || !strings.Contains(string(said), "oom_kill 0")
	}
}

// The figures of docs/gateway.md: what the gateway takes for 1 GiB, or CAIRN_LARGE MiB, that
// is here or with one other peer, beside Kubo in the same run where there is one.
func TestFiguresOfTheGateway(t *testing.T) {
	wanted(t, "CAIRN_BENCH")
	n := number("CAIRN_LARGE", 1024) << 20
	const part = 100 << 20
	w := up(t, 2)
	gate := make([]string, 2)
	for i := range gate {
		var me struct{ Gateway string }
		if err := w.ask(t.Context(), &me, "id", "--peer", fmt.Sprintf("p%d@%s", i, w.name)); err != nil {
			t.Fatal(err)
		}
		gate[i] = me.Gateway
	}
	put := func(in io.Reader, args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		out, err := w.run(ctx, in, append([]string{"put", "-q", "--no-place", "--peer", "p0@" + w.name, "-"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	data := func(seed byte, n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n) }
	digest := sha256.New()
	if _, err := io.Copy(digest, data(2, part)); err != nil {
		t.Fatal(err)
	}
	big, hundred := put(data(1, n)), put(data(2, part))
	kubo, beside := beside(t)
	var theirs, theirHundred string
	if beside {
		theirs = kubo.run(t, data(1, n), "add", "-Q", "--cid-version", "1")
		theirHundred = kubo.run(t, data(2, part), "add", "-Q", "--cid-version", "1")
	}
	tell := func(what string, ours, its time.Duration) {
		if its == 0 {
			t.Logf("FIGURE %s: %.2f s", what, ours.Seconds())
			return
		}
		t.Logf("FIGURE %s: %.2f s, Kubo %.2f s: %.2f x", what, ours.Seconds(), its.Seconds(), its.Seconds()/ours.Seconds())
	}

	var ours, its time.Duration
	for range 3 { // the best of three, one after the other
		if took := timed(t, gate[0]+"/ipfs/"+big, n); ours == 0 || took < ours {
			ours = took
		}
		if beside {
			if took := timed(t, kubo.gateway+"/ipfs/"+theirs, n); its == 0 || took < its {
				its = took
			}
		}
	}
	tell(fmt.Sprintf("%d MiB from the local store", n>>20), ours, its)

	var first time.Duration
	for i := range 5 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gate[0]+"/ipfs/"+big, nil)
		if err != nil {
			t.Fatal(err)
		}
		from := n/2 + int64(i)*(3<<20)
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+1<<20-1))
		began := time.Now()
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil || res.StatusCode != http.StatusPartialContent {
			t.Fatalf("%s %v", res.Status, err)
		}
		first = max(first, time.Since(began))
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	t.Logf("FIGURE first byte of 1 MiB in the middle: %.1f ms, the slowest of five", float64(first.Microseconds())/1e3)

	rawBlocks(t, gate[0], put(data(3, 8<<20), "--chunker", "size-4096", "--raw-leaves"))

	its = 0
	if beside {
		second, _ := beside2(t, kubo)
		its = timed(t, second.gateway+"/ipfs/"+theirs, n)
	}
	tell(fmt.Sprintf("%d MiB that one other peer has", n>>20), timed(t, gate[1]+"/ipfs/"+big, n), its)

	same := func(url string) []string {
		all := make([]string, 64)
		for i := range all {
			all[i] = url
		}
		return all
	}
	its = 0
	if beside {
		its = together(t, same(kubo.gateway+"/ipfs/"+theirHundred), [32]byte(digest.Sum(nil)))
	}
	pid := w.pid(t)
	killed := confine(t, pid, 512<<20)
	tell("64 downloads of 100 MiB at once, ours within 512 MiB", together(t, same(gate[0]+"/ipfs/"+hundred), [32]byte(digest.Sum(nil))), its)
	if killed() {
		t.Error("the daemon was killed for its memory")
	}
	t.Logf("FIGURE the daemon had at most %d MiB of its own", peak(t, pid)>>20)
}

// beside2 is another Kubo that is connected to o and has nothing.
func beside2(t *testing.T, o other) (other, bool) {
	t.Helper()
	second, ok := beside(t)
	if ok {
		for addr := range strings.FieldsSeq(o.run(t, nil, "id", "-f", "<addrs>")) {
			second.run(t, nil, "swarm", "connect", addr)
			break
		}
	}
	return second, ok
}

// rawBlocks asks for the leaves of root one by one, on 16 connections.
func rawBlocks(t *testing.T, gate, root string) {
	t.Helper()
	var cids []string
	var below func(c string)
	below = func(c string) {
		res, err := http.Get(gate + "/ipfs/" + c + "?format=raw")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		nd, err := merkledag.DecodeProtobuf(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range nd.Links() {
			if l.Cid.Prefix().Codec == 0x55 {
				cids = append(cids, l.Cid.String())
			} else {
				below(l.Cid.String())
			}
		}
	}
	below(root)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	next := make(chan string, len(cids)*4)
	for range 4 {
		for _, c := range cids {
			next <- c
		}
	}
	close(next)
	var all sync.WaitGroup
	began := time.Now()
	for range 16 {
		all.Go(func() {
			for c := range next {
				res, err := client.Get(gate + "/ipfs/" + c + "?format=raw")
				if err != nil {
					t.Error(err)
					return
				}
				if k, err := io.Copy(io.Discard, res.Body); err != nil || k != 4096 {
					t.Errorf("%d bytes, %v", k, err)
				}
				res.Body.Close()
			}
		})
	}
	all.Wait()
	t.Logf("FIGURE raw blocks of 4 KiB: %.0f a second on 16 connections, of %d", float64(4*len(cids))/time.Since(began).Seconds(), len(cids))
}
