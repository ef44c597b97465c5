// Package rbsr compares two sets of 32-byte keys that two peers have, by the
// fingerprints of ranges. It is pure: messages go in and come out, and nothing waits.
//
//	Initiator.First → Responder.Step → Initiator.Step → … → Differences
//
// The initiator sends the fingerprint of all its keys. Of each fingerprint that does not
// agree the other side sends [FanOut] parts, or, of [Leaf] keys and fewer, the keys. At
// the end the initiator knows what only one of the two has; the responder keeps nothing.
// A message with nothing in it, or none, says that all that was asked agrees: equal sets
// cost one message of about 20 bytes.
//
// A message is ranges in ascending order. What lies between them is settled.
//
//	message     = [ count ] *range          count: uvarint, the keys of the sender, in its first message
//	range       = head bound body           from where the one before ended, from 0 on, to before bound
//	head        = mode<<6 | len(bound)      0: the range goes to the end
//	bound       = the key's bytes without the zeros at its end
//	skip   (0)  = nothing                   settled; never twice in a row, never last
//	print  (1)  = 16 bytes                  SHA256(sum of the keys mod 2^256 ‖ count)[:16], big-endian, 32 and 8 bytes
//	list   (2)  = n n*key                   all keys of the sender there; the responder's is the end of it
//	answer (3)  = n bitmap m m*key          to a list of n: which of them are here too, and what else is
//
// Numbers are minimal uvarints, keys ascend. Every message has one encoding. In a message
// at most [Open] ranges are split; more are sent back as they are, for the other side to
// split. Each side sends at most [Rounds] messages; what is open in its last one is
// listed. Where the counts or what is seen of the differences say that more than a tenth
// differs, all is listed at once. A side sends no key twice, and besides the keys no more
// than 64 KiB and a bit for each of the other's; who sends more, or says what nobody
// asked, is stopped by [ErrForm].
package rbsr
