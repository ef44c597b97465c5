package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// kuboPair is two daemons of Kubo that know each other and nobody else.
type kuboPair struct{ a, b kuboDaemon }

// kuboDaemon is one of them: its HTTP API.
type kuboDaemon struct{ api string }

// onKubo starts two Kubo daemons for f and ends them afterwards, whatever happened.
// sync lets them sync what they keep to the disk, which by default they do not.
func onKubo(ctx context.Context, bin string, sync bool, f func(*kuboPair) error) error {
	return tempDir(func(dir string) (err error) {
		var pair kuboPair
		for name, d := range map[string]*kuboDaemon{"a": &pair.a, "b": &pair.b} {
			stop, e := d.start(ctx, bin, filepath.Join(dir, name), sync)
			defer func() { err = errors.Join(err, stop()) }()
			if e != nil {
				return fmt.Errorf("kubo: %w", e)
			}
		}
		if err := pair.meet(ctx); err != nil {
			return fmt.Errorf("kubo: %w", err)
		}
		return f(&pair)
	})
}

// start makes a home and runs a daemon in it, until stop.
func (d *kuboDaemon) start(ctx context.Context, bin, home string, sync bool) (stop func() error, err error) {
	stop = func() error { return nil }
	env := append(os.Environ(), "IPFS_PATH="+home, "IPFS_TELEMETRY=off", "DO_NOT_TRACK=1")
	for _, args := range [][]string{
		{"init", "--profile=test"}, // loopback, free ports, no bootstrap
		{"config", "--json", "AutoConf.Enabled", "false"},
		{"config", "--json", "Bootstrap", "[]"},
		{"config", "--json", "DNS.Resolvers", "{}"},
		{"config", "--json", "Routing.DelegatedRouters", "[]"},
		{"config", "--json", "Ipns.DelegatedPublishers", "[]"},
		{"config", "Routing.Type", "none"},
	} {
		c := exec.CommandContext(ctx, bin, args...)
		c.Env = env
		if out, err := c.CombinedOutput(); err != nil {
			return stop, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	if sync {
		if err := kuboSync(filepath.Join(home, "config")); err != nil {
			return stop, err
		}
	}
	c := exec.Command(bin, "daemon")
	c.Env = env
	if err := c.Start(); err != nil {
		return stop, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }() // ends with the process, which stop sees to
	stop = func() error {
		if err := ignoreDone(c.Process.Signal(terminate)); err != nil {
			return err
		}
		select {
		case <-ended: // of what it says at its end nothing matters
		case <-time.After(10 * time.Second):
			if err := ignoreDone(c.Process.Kill()); err != nil {
				return err
			}
			<-ended
		}
		return nil
	}
	return stop, d.ready(ctx, home, ended)
}

// kuboSync turns on the sync of a home's blocks in its configuration.
func kuboSync(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	off, on := []byte(`"sync": false`), []byte(`"sync": true`)
	if !bytes.Contains(data, off) && !bytes.Contains(data, on) {
		return fmt.Errorf("%s does not say whether blocks are synced", file)
	}
	return os.WriteFile(file, bytes.ReplaceAll(data, off, on), 0o600)
}

// ready waits for the daemon's API, whose address it writes into its home.
func (d *kuboDaemon) ready(ctx context.Context, home string, ended chan error) error {
	limit := time.After(30 * time.Second)
	for {
		if data, err := os.ReadFile(filepath.Join(home, "api")); err == nil {
			a, err := ma.NewMultiaddr(strings.TrimSpace(string(data)))
			if err != nil {
				return fmt.Errorf("api: %w", err)
			}
			_, host, err := manet.DialArgs(a)
			if err != nil {
				return fmt.Errorf("api: %w", err)
			}
			d.api = "http://" + host
			if d.call(ctx, "id", nil, nil, nil) == nil {
				return nil
			}
		}
		select {
		case err := <-ended:
			ended <- err // stop waits for it as well
			return fmt.Errorf("the daemon ended: %w", err)
		case <-ctx.Done():
			return cause(ctx)
		case <-limit:
			return errors.New("the daemon is not ready within 30 s")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// meet connects the two.
func (k *kuboPair) meet(ctx context.Context) error {
	var id struct{ Addresses []string }
	if err := k.a.call(ctx, "id", nil, nil, &id); err != nil {
		return err
	}
	for _, a := range id.Addresses {
		if strings.Contains(a, "/ip4/127.0.0.1/tcp/") && !strings.Contains(a, "/ws") {
			return k.b.call(ctx, "swarm/connect", url.Values{"arg": {a}}, nil, nil)
		}
	}
	return fmt.Errorf("no loopback address among %v", id.Addresses)
}

// call asks the daemon something. into is nil, an io.Writer, or what JSON is read into.
func (d *kuboDaemon) call(ctx context.Context, command string, q url.Values, body *multipartFile, into any) error {
	ctx, cancel := context.WithTimeout(ctx, benchTime)
	defer cancel()
	var r io.Reader
	if body != nil {
		r = body
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.api+"/api/v0/"+command+"?"+q.Encode(), r)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", body.kind)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 1000)) // whatever it says
		return fmt.Errorf("%s: status %d: %s", command, res.StatusCode, bytes.TrimSpace(said))
	}
	switch to := into.(type) {
	case nil:
		_, err = io.Copy(io.Discard, res.Body)
	case io.Writer:
		_, err = io.CopyBuffer(to, res.Body, make([]byte, 1<<20))
	default:
		err = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// multipartFile is a form with one file, of whatever length.
type multipartFile struct {
	io.Reader
	kind string
}

func newMultipart(r io.Reader) *multipartFile {
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	_, _ = w.CreateFormFile("file", "file") // into memory
	tail := "\r\n--" + w.Boundary() + "--\r\n"
	return &multipartFile{io.MultiReader(&head, r, strings.NewReader(tail)), w.FormDataContentType()}
}

// add adds the bytes of a run as cairn splits them, and gives their CID.
func (d *kuboDaemon) add(ctx context.Context, o benchFlags, run int) (string, error) {
	q := url.Values{"chunker": {"size-1048576"}, "raw-leaves": {"true"}, "cid-version": {"1"}, "progress": {"false"}, "quieter": {"true"}}
	var added struct{ Hash string }
	err := d.call(ctx, "add", q, newMultipart(newStamped(o.bytes, run)), &added)
	return added.Hash, err
}

// kuboGet adds at one and reads through the other, in MB/s.
func kuboGet(ctx context.Context, k *kuboPair, o benchFlags, run int) (float64, error) {
	root, err := k.a.add(ctx, o, run)
	if err != nil {
		return 0, fmt.Errorf("kubo: %w", err)
	}
	began := time.Now()
	var n counted
	if err := k.b.call(ctx, "cat", url.Values{"arg": {root}}, nil, &n); err != nil {
		return 0, fmt.Errorf("kubo: %w", err)
	}
	if int64(n) != o.bytes {
		return 0, fmt.Errorf("kubo: cat gave %d bytes of %d", n, o.bytes)
	}
	return mbs(o.bytes, time.Since(began)), nil
}

// kuboLocal adds at one, in MB/s.
func kuboLocal(ctx context.Context, k *kuboPair, o benchFlags, run int) (float64, error) {
	began := time.Now()
	if _, err := k.a.add(ctx, o, run); err != nil {
		return 0, fmt.Errorf("kubo: %w", err)
	}
	return mbs(o.bytes, time.Since(began)), nil
}

// kuboPut adds at one and pins at the other, in MB/s.
func kuboPut(ctx context.Context, k *kuboPair, o benchFlags, run int) (float64, error) {
	began := time.Now()
	root, err := k.a.add(ctx, o, run)
	if err != nil {
		return 0, fmt.Errorf("kubo: %w", err)
	}
	if err := k.b.call(ctx, "pin/add", url.Values{"arg": {root}}, nil, nil); err != nil {
		return 0, fmt.Errorf("kubo: %w", err)
	}
	return mbs(o.bytes, time.Since(began)), nil
}
