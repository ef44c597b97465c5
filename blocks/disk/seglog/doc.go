// Package seglog is an append-only log of keyed records in segments. It knows
// kinds, keys, bytes and positions, and nothing of what they mean.
//
//	Append: records → group → one write → fsync → Apply → answer
//	Replay: segments in order → whole records → the caller's index
//	Read:   position → record → checksums → bytes
//
// # Format
//
// All numbers are little-endian. A segment is a file seg-%08d.log, numbered from
// 1 in order of creation:
//
//	 0  8  "cairnlog"
//	 8  4  format, 1
//	12  4  number of this segment
//	16  8  mark: random, the same for all segments of a log
//	24  4  number of the segment before it that was last written, or 0
//	28  4  end of that segment: what stands behind is void
//	32  8  the next sequence number
//	40 20  zero
//	60  4  CRC32C of the above
//
// Records follow, without gaps:
//
//	 0  8  mark
//	 8  1  kind
//	 9  1  length of the key, k
//	10  2  zero
//	12  4  length of the data, n
//	16  8  sequence number
//	24  4  base: offset at which the group of this record begins
//	28  k  key
//	    4  CRC32C of the above
//	    n  data
//	    4  CRC32C of the data
//
// Of two records with one key the higher sequence number is the younger, wherever
// they stand: a copy that compaction makes keeps its number. What lies before the
// base of a whole record was on the disk before that record was written, so that
// a record found damaged there has rotted, and one found damaged behind every
// base was never acknowledged. The mark cannot be known by who chooses the data,
// so that no data is taken for records when the scan looks for the next one
// behind a damaged header.
//
// # Promises
//
// Append answers nil when its records are on the disk and Apply has seen them.
// After a failed write or sync nothing more is written to that segment, its end
// is put on record in the next one, and until there is a next one every Append
// fails with the cause; the log tries again with every Append. Nothing is ever
// written over. No length is believed before it is checked, and no byte is given
// whose checksum is wrong.
//
// It does not decide what lives: compaction is the caller's, with [Log.Scan],
// Append and [Log.Remove].
//
// Its one goroutine, which writes, begins with [Log.Replay] and ends with Close.
package seglog
