// Package pubsub carries announcements: small signed messages that everybody who
// listens hears once. It stands on gossipsub and knows nothing of blocks and
// nothing of the DHT; a root is a string to it.
//
//	Update → limits, pace → sign → gossip → size, form, signature → age, sequence, rate → every reader
//
// # What it promises
//
// An [Update] that a reader is given was signed by its From, for this network
// and for nothing else, has not expired, and is newer than every other update of
// From that this bus has heard. Whoever passes on what no peer could ever have
// accepted loses standing with us, and after five such messages is no longer
// listened to. What is merely late, early, repeated or too much is dropped without
// blame, because clocks, memories and paths differ between honest peers. No input
// stops the bus, and no reader holds up another.
//
// # What it does not
//
// Gossip is the hurry, not the truth: an update may be lost (its reader was
// slow, a younger one of the same author overtook it, nobody was connected), and
// nothing is heard that was said before we listened. It does not order the
// updates of different authors, and does not hide who speaks or what is said.
// It remembers the latest [MemoryAuthors] authors and only while it runs: after a
// restart, or once so many others have spoken, a captured update may be heard
// again until it expires, which is why it does within [MaxLife].
//
// # The message
//
// An update is one message of at most 16 KiB on the topic
//
//	/cairn/<network>/updates/1
//
// It is an envelope in protobuf wire format. Every field is there, once, in this
// order and in the shortest encoding; any other form of the same values is refused.
//
//	 1  author     bytes   Ed25519 peer id, its key inside it
//	 2  sequence   varint  greater than that of every earlier update of the author
//	 3  root       bytes   1 to 255 printable ASCII characters, no space
//	 4  name       bytes   0 to 255 bytes of UTF-8 without control characters
//	 5  size       varint  bytes under the root, below 2^63
//	 6  time       varint  when it was said, Unix milliseconds, up to the year 9999
//	 7  expires    varint  after time, by at most 24 hours
//	15  signature  bytes   64, Ed25519
//
// The signature is the author's, over the bytes
//
//	"cairn/update/1" ‖ topic ‖ fields 1 to 7 as encoded
//
// so it is good on one topic of one network only. On this topic gossipsub itself neither
// signs nor names an author, and a message's id is the SHA2-256 of the envelope.
//
// A message that breaks any of this is rejected. One that is whole is ignored if
// its time is more than 10 minutes ahead, if it has expired, if its sequence is not
// above the highest heard of its author, or if its author has said more than 10
// a second for longer than a burst of 30.
//
// # Topics of applications
//
// With [Config.Topics] a bus also carries what programs say on topics of their own
// ([Bus.Say], [Bus.Hear]), as other implementations of libp2p do with StrictSign: a message
// names its author and an 8-byte number and is signed by the author. One that is not is
// rejected. A message of more than 16 KiB, the 51st of an author within a second, or whatever
// a neighbour brings beyond 200 a second, after bursts of 100 and 400, is dropped and counted
// without blame. Only peers that listen to a topic pass its messages on. Nothing is said here
// of what a message means, and one may be heard again when somebody repeats it after two minutes.
//
// Signatures are therefore not the policy of the whole of gossipsub: the validators of our own
// topics reject a message that has an author or a signature beside its data, and those of
// applications one that has none.
//
// # Goroutines
//
// The package starts none. Gossipsub starts its own in [New] and ends them
// when the context given to New is done or [Bus.Close] is called; streams end with the host.
package pubsub
