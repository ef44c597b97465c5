package dag

import (
	"fmt"
	"io"
	"regexp"
	"strconv"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/chunker"
)

var chunkerName = regexp.MustCompile(`^(buzhash|rabin|rabin-(\d{1,7})|rabin-(\d{1,7})-(\d{1,7})-(\d{1,7}))$`)

// leastRabin is the least average size in bytes; by it the least piece has 16.
const leastRabin = 48

// byContent cuts r where its content says, in one of the ways that Kubo's add knows, so that
// an insertion changes few leaves.
func byContent(r io.Reader, name string) (chunk.Splitter, error) {
	is := chunkerName.FindStringSubmatch(name)
	if is == nil {
		return nil, fmt.Errorf("dag: no chunker %q: want rabin, rabin-AVG, rabin-MIN-AVG-MAX or buzhash", name)
	}
	size := func(text string) uint64 {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return 0 // it was not given
		}
		return n
	}
	avg, least, mid, most := size(is[2]), size(is[3]), size(is[4]), size(is[5])
	switch {
	case name == "buzhash":
		return chunk.NewBuzhash(r), nil
	case name == "rabin":
		return chunk.NewRabin(r, uint64(chunk.DefaultBlockSize)), nil
	case is[2] != "" && avg >= leastRabin && avg+avg/2 <= uint64(chunk.ChunkSizeLimit):
		return chunk.NewRabin(r, avg), nil
	case is[3] != "" && least >= 16 && least < mid && mid < most && most <= uint64(chunk.ChunkSizeLimit):
		return chunk.NewRabinMinMax(r, least, mid, most), nil
	}
	return nil, fmt.Errorf("dag: chunker %q: want sizes that grow, the average at least %d, the largest at most %d", name, leastRabin, min(blocks.MaxSize, chunk.ChunkSizeLimit))
}
