package crashfs

import (
	"maps"
	"slices"
)

// kind is what an operation on the tape did.
type kind uint8

const (
	names  kind = iota // changed entries of directories, all or none
	mkdir              // the same, and the inode is a directory
	write              // wrote data at off
	cut                // cut or lengthened to off bytes
	punch              // made n bytes from off a hole of zeros
	sync               // put the file, or the entries of the directory, on the disk
	revert             // a failed sync: what was not on the disk is gone
)

type op struct {
	kind    kind
	at      int // on the tape, from 0
	ino     int
	off, n  int64
	data    []byte
	entries []entry
}

// entry is a name in a directory; ino 0 is none.
type entry struct {
	dir  int
	name string
	ino  int
}

// inode is a file or a directory: as programs see it, and as the disk has it.
type inode struct {
	data, disk       []byte // of a file; shared ones are never written to
	shared           bool   // data has other owners
	names, diskNames map[string]int
	pending          []op // not on the disk yet, in order
	holes            map[int64]bool
}

func (n *inode) dir() bool { return n.names != nil }

// state is what a tape leads to. Inode 1 is the root.
type state struct {
	inodes map[int]*inode
	next   int
}

const root = 1

func newState() *state {
	return &state{inodes: map[int]*inode{root: newDir()}, next: root + 1}
}

func newDir() *inode { return &inode{names: map[string]int{}, diskNames: map[string]int{}} }

// get gives the inode i, which is made a file if it is new.
func (s *state) get(i int) *inode {
	n := s.inodes[i]
	if n == nil {
		n = &inode{}
		s.inodes[i] = n
		s.next = max(s.next, i+1)
	}
	return n
}

// apply does o, as programs see it and, for a sync, on the disk.
func (s *state) apply(o op) {
	switch o.kind {
	case names, mkdir:
		for _, e := range o.entries {
			if s.inodes[e.ino] == nil && o.kind == mkdir {
				s.inodes[e.ino] = newDir()
				s.next = max(s.next, e.ino+1)
			}
			set(s.inodes[e.dir].names, e)
			if e.ino != 0 {
				s.get(e.ino)
			}
		}
		for _, d := range dirsOf(o) {
			s.inodes[d].pending = append(s.inodes[d].pending, o)
		}
	case sync:
		s.sync(o.ino)
	case revert:
		n := s.inodes[o.ino]
		n.data, n.shared, n.pending = n.disk, true, nil
	default:
		n := s.get(o.ino)
		if n.shared {
			n.data, n.shared = slices.Clone(n.data), false
		}
		n.data = change(n.data, o)
		n.dig(o)
		n.pending = append(n.pending, o)
	}
}

// sync puts the inode i on the disk. A rename between two directories brings
// all that is pending in both, as a journal would.
func (s *state) sync(i int) {
	n := s.inodes[i]
	if !n.dir() {
		n.disk, n.shared, n.pending = n.data, true, nil
		return
	}
	ops := n.pending
	n.pending = nil
	for _, o := range ops {
		for _, d := range dirsOf(o) {
			if d != i && s.inodes[d].pending != nil {
				s.sync(d)
			}
		}
	}
	n.diskNames = maps.Clone(n.names)
}

func set(names map[string]int, e entry) {
	if e.ino == 0 {
		delete(names, e.name)
	} else {
		names[e.name] = e.ino
	}
}

func dirsOf(o op) (dirs []int) {
	for _, e := range o.entries {
		if !slices.Contains(dirs, e.dir) {
			dirs = append(dirs, e.dir)
		}
	}
	return dirs
}

// change does a write, cut or punch to data, in place where there is room.
func change(data []byte, o op) []byte {
	end := o.off
	switch o.kind {
	case write:
		end += int64(len(o.data))
	case punch:
		end = min(end+o.n, int64(len(data)))
		clear(data[min(o.off, end):end])
		return data
	case cut:
		if end < int64(len(data)) {
			return data[:end:end] // what follows is never seen again
		}
	}
	if grow := end - int64(len(data)); grow > 0 {
		data = append(data, make([]byte, grow)...)
	}
	copy(data[o.off:], o.data)
	return data
}

const page = 4096

// dig keeps count of the pages that take no space.
func (n *inode) dig(o op) {
	switch o.kind {
	case punch:
		if n.holes == nil {
			n.holes = map[int64]bool{}
		}
		for p := (o.off + page - 1) / page; (p+1)*page <= o.off+o.n; p++ {
			n.holes[p] = true
		}
	case write:
		for p := o.off / page; n.holes != nil && p*page < o.off+int64(len(o.data)); p++ {
			delete(n.holes, p)
		}
	}
}

// space is how many bytes the files that have a name take.
func (s *state) space() (total int64) {
	s.walk(func(n *inode) {
		total += (int64(len(n.data))+page-1)/page*page - int64(len(n.holes))*page
	})
	return total
}

// walk visits every file that has a name, once.
func (s *state) walk(visit func(*inode)) {
	seen := map[int]bool{}
	var down func(i int)
	down = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		n := s.inodes[i]
		if !n.dir() {
			visit(n)
			return
		}
		for _, j := range n.names {
			down(j)
		}
	}
	down(root)
}
