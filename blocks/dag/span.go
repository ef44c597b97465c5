package dag

import (
	"context"
	"io"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Span is a part of a file, and how it is read. The zero value is all of it.
type Span struct {
	From  int64        // its first byte; less than 0 counts from the end of the file
	To    int64        // the byte behind its last; 0 is the end of the file
	Ahead func() int64 // bytes in hand at most, asked again and again; nil is 16 MiB. The very next block always has room
}

// OpenSpan opens the file under root as [Open] does, at the beginning of s. No block is asked
// for ahead that holds nothing of s.
func OpenSpan(ctx context.Context, ng ipld.NodeGetter, root cid.Cid, s Span) (*File, error) {
	f, err := Open(ctx, ng, root)
	if err != nil {
		return nil, err
	}
	f.share = s.Ahead
	if s.To > 0 {
		f.until = s.To
	}
	from := s.From
	if from < 0 {
		from = max(0, f.size+from)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	f.sought = false // whoever asks for a span reads it in order
	return f, nil
}

// window is how much of f may be in hand now. What begins before off and is as long as
// what is left to read holds nothing behind it.
func (f *File) window() window {
	w := f.most
	w.bytes = min(w.bytes, f.until-f.off)
	if f.share != nil {
		w.bytes = min(w.bytes, f.share())
	}
	return w
}
