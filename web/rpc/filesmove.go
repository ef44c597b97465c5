package rpc

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ipfs/boxo/mfs"
)

// unlinkFile takes the file p away, if there is one.
func unlinkFile(r *mfs.Root, p string) error {
	at, err := mfs.Lookup(r, p)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !mfs.IsFile(at) {
		return fmt.Errorf("not a file: %s", p)
	}
	return unlink(r, p)
}

func unlink(r *mfs.Root, p string) error {
	dir, name := parted(p)
	at, err := mfs.Lookup(r, dir)
	if err != nil {
		return err
	}
	d, ok := at.(*mfs.Directory)
	if !ok {
		return fmt.Errorf("cannot access %s: Not a directory", p)
	}
	return d.Unlink(name)
}

// filesRm takes all of its arguments away, or none.
func (s *Server) filesRm(c *call) error {
	args, err := c.some("a path")
	if err != nil {
		return err
	}
	var recursive, force bool
	if err := c.flags(map[string]*bool{"recursive": &recursive, "force": &force}); err != nil {
		return err
	}
	paths := make([]string, 0, len(args))
	for _, arg := range args {
		p, err := filesPath(arg)
		if err != nil {
			return err
		}
		if p == "/" {
			return refuse("cannot delete root")
		}
		paths = append(paths, trimmed(p))
	}
	if flush, err := c.flag("flush", true); err != nil || !flush {
		return errors.Join(err, refuse("files rm always flushes for safety. The --flush flag cannot be set to false for this command"))
	}
	e, err := c.edit()
	if err != nil {
		return err
	}
	return e.done(func(r *mfs.Root) error {
		for _, p := range paths {
			if err := remove(r, p, recursive, force); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
		return nil
	})
}

func remove(r *mfs.Root, p string, recursive, force bool) error {
	at, err := mfs.Lookup(r, p)
	switch {
	case errors.Is(err, os.ErrNotExist) && force:
		return nil
	case err != nil && !force:
		return err
	case err == nil && !mfs.IsFile(at) && !recursive && !force:
		return errors.New("path is a directory, use -r to remove directories")
	}
	return unlink(r, p) // with force also what cannot be read
}

// filesMv moves as mfs.Mv does, which however leaves behind what is moved between two
// directories of one name, and loses a directory that is moved into itself.
func (s *Server) filesMv(c *call) error {
	from, to, err := c.two()
	if err != nil {
		return err
	}
	if from, err = filesPath(from); err != nil {
		return err
	}
	if from = trimmed(from); from == "/" {
		return refuse("cannot move root")
	}
	into := strings.HasSuffix(to, "/")
	if to, err = filesPath(to); err != nil {
		return err
	}
	to = trimmed(to)
	e, err := c.edit()
	if err != nil {
		return err
	}
	return e.done(func(r *mfs.Root) error { return e.move(r, from, to, into) })
}

func (e *edit) move(r *mfs.Root, from, to string, into bool) error {
	nd, err := e.d.lookup(r, from)
	if err != nil {
		return err
	}
	at, err := mfs.Lookup(r, to)
	if into && err != nil {
		return err
	}
	if err == nil && !mfs.IsFile(at) {
		_, name := parted(from)
		to = strings.TrimSuffix(to, "/") + "/" + name
	} else if into {
		return fmt.Errorf("cannot access %s: Not a directory", to)
	}
	if to, err = entry(to); err != nil {
		return err
	}
	file, err := isFile(nd)
	switch {
	case err != nil:
		return err
	case to == from && file:
		return nil
	case to == from, strings.HasPrefix(to, from+"/"):
		return refuse("cannot move %s into itself", from)
	}
	if strings.Count(to, "/") > strings.Count(from, "/") {
		if err := e.d.fits(e, nd, to); err != nil {
			return err
		}
	}
	at, err = mfs.Lookup(r, to)
	switch {
	case err == nil && mfs.IsFile(at):
		err = unlink(r, to)
	case err == nil:
		err = mfs.ErrDirExists
	case errors.Is(err, os.ErrNotExist):
		err = nil // or its directory is missing, which is said next
	}
	if err == nil {
		err = mfs.PutNode(r, to, nd)
	}
	if err == nil {
		err = unlink(r, from)
	}
	return err
}
