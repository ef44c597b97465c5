package rpc

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// root gives the CID that p names.
func (c *call) root(p string) (cid.Cid, error) {
	return c.s.n.Resolve(c, p)
}

// cat answers with the bytes of files, one after the other.
func (s *Server) cat(c *call) error {
	args, err := c.some("a path")
	if err != nil {
		return err
	}
	skip, err := c.number("offset", 0, 0)
	if err != nil {
		return err
	}
	length, err := c.number("length", -1, 0)
	if c.opts.Has("count") { // files/read
		length, err = c.number("count", -1, 0)
	}
	if err != nil {
		return err
	}
	files := make([]io.Reader, 0, len(args))
	var size int64
	for _, arg := range args {
		if to, ok := s.target(c, arg); ok {
			from := min(skip, int64(len(to)))
			skip -= from
			files, size = append(files, strings.NewReader(to[from:])), size+int64(len(to))-from
			continue
		}
		f, err := s.n.Open(c, arg)
		if err != nil {
			return err
		}
		defer f.Close()
		from := min(skip, f.Size())
		if _, err := f.Seek(from, io.SeekStart); err != nil {
			return err
		}
		skip -= from
		files, size = append(files, io.LimitReader(whole{f, f.Size() - from, new(int64)}, f.Size()-from)), size+f.Size()-from
	}
	r := io.MultiReader(files...)
	if length >= 0 {
		r, size = io.LimitReader(r, length), min(size, length)
	}
	return c.copy(r, size)
}

// target gives where a symlink leads to, which is all there is to read of one.
func (s *Server) target(c *call, p string) (to string, ok bool) {
	st, err := s.n.Stat(c, p)
	return st.Target, err == nil && st.Kind == blocks.KindSymlink
}

// copy answers with r, which has size bytes; not before its first is there.
func (c *call) copy(r io.Reader, size int64) error {
	buf := make([]byte, 256<<10)
	n, err := io.ReadAtLeast(r, buf, 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.w.Header().Set("X-Content-Length", strconv.FormatInt(size, 10))
	if _, err := c.Write(buf[:n]); err != nil || n == 0 {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{c}, onlyReader{r}, buf)
	return err
}

type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// whole is a file whose end must not come before its size.
type whole struct {
	io.Reader
	size int64
	got  *int64
}

func (w whole) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	*w.got += int64(n)
	if errors.Is(err, io.EOF) && *w.got < w.size {
		err = fmt.Errorf("rpc: the file ends before its size: %w", io.ErrUnexpectedEOF)
	}
	return n, err
}

// get answers with a tar of what a path names, or, compressed and no archive,
// with the file itself.
func (s *Server) get(c *call) error {
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	archive, err1 := c.flag("archive", false)
	compress, err2 := c.flag("compress", false)
	level, err3 := c.number("compression-level", gzip.DefaultCompression, -1)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	st, err := s.n.Stat(c, arg)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/x-tar")
	c.w.Header().Set("X-Content-Length", strconv.FormatInt(max(st.Size, 0), 10))
	out := io.Writer(c)
	if compress {
		c.w.Header().Set("Content-Type", "application/gzip")
		z, err := gzip.NewWriterLevel(c, int(min(level, 9)))
		if err != nil {
			return err
		}
		out = z // what fails leaves it open: its end would be an answer
		if !archive {
			return s.gzipped(c, z, arg, st)
		}
	}
	t := tar.NewWriter(out)
	name := path.Base(strings.TrimSuffix(arg, "/"))
	if err := s.tar(c, t, name, blocks.Entry{CID: st.CID, Kind: st.Kind, Target: st.Target}, 0); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	return closed(out)
}

func closed(w io.Writer) error {
	if z, ok := w.(*gzip.Writer); ok {
		return z.Close()
	}
	return nil
}

func (s *Server) gzipped(c *call, z *gzip.Writer, p string, st blocks.Stat) error {
	if st.Kind != blocks.KindFile {
		return refuse("%s is no file: compress it as an archive", p)
	}
	f, err := s.n.Open(c, p)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(z, f); err != nil {
		return err
	}
	return z.Close()
}

// tar writes e and what is below it.
func (s *Server) tar(c *call, t *tar.Writer, name string, e blocks.Entry, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("rpc: get: deeper than %d directories", maxDepth)
	}
	h := &tar.Header{Name: name, Mode: 0o644, ModTime: time.Unix(0, 0)}
	switch e.Kind {
	case blocks.KindFile:
		f, err := s.n.Open(c, e.CID.String())
		if err != nil {
			return err
		}
		defer f.Close()
		h.Typeflag, h.Size = tar.TypeReg, f.Size()
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err = io.Copy(onlyWriter{t}, f)
		return err
	case blocks.KindSymlink:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.Target, 0o777
		return t.WriteHeader(h)
	case blocks.KindDir:
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		for sub, err := range s.n.List(c, e.CID.String()) {
			if err == nil && blocks.CheckName(sub.Name) != "" {
				err = fmt.Errorf("rpc: get: %q in %s: %s", sub.Name, e.CID, blocks.CheckName(sub.Name))
			}
			if err == nil {
				err = s.tar(c, t, name+"/"+sub.Name, sub, depth+1)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("rpc: get: %s is neither file nor directory", e.CID)
}
