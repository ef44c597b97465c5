// Package wire moves blocks between two peers. This is the specification of
// /cairn/blocks/1.0.0 and, below, of /cairn/sync/1.0.0.
//
//	Offer → Want → Data… → Ack…      blocks are brought, under a lease
//	Get   → Data | Miss, any order   blocks are asked for
//	Have  → HaveR                    what have you of these? prove it
//	Leases → LeasesR                 under which leases do you hold this?
//	PutRecord | GetRecord → Record   something small that changes is brought, or asked for
//
// A stream carries one offer, or one get to which wants are added while it runs, or
// any number of the other questions, one after the other. A frame is an unsigned varint
// length, at most 64 KiB, and one Msg; a Data is followed by len raw bytes, at most
// [blocks.MaxSize]. Each limit is read before anything is allocated. Every message has
// one encoding: fields in order, zero values left out, varints minimal; any other is
// malformed. Keys are multihashes. An idx counts the items of an offer, or those of
// all the Gets of a stream, from 0. A bitmap has a bit for each item, lowest bit of
// the first byte first, and no further ones.
//
//	message Msg     { oneof m { Offer offer=1; Want want=2; Data data=3; Ack ack=4; Credit credit=5; Get get=6; Miss miss=7;
//	                            Cancel cancel=8; Have have=9; HaveR have_r=10; Busy busy=11; Leases leases=12; LeasesR leases_r=13;
//	                            Part part=14; Naming naming=15; Named named=16;
//	                            PutRecord put_record=17; GetRecord get_record=18; Record record=19; } }
//	message Item    { bytes mh=1; uint32 size=2; uint32 flags=3; uint32 kind=4; uint32 r=5; }  // flags 1 FANOUT, 2 URGENT, 4 REST; kind 0 block
//	message Member  { bytes id=1; repeated bytes addr=2; }                      // at most 8 addresses, 512 bytes
//	message Offer   { repeated Item items=1; repeated bytes lease_ids=2; bytes lease_record=3; uint32 reason=4; }
//	message Want    { bytes bitmap=1; uint64 credit=2; repeated Deny deny=3; repeated Begun begun=4; }
//	message Begun   { uint32 idx=1; uint32 len=2; }                             // the first len bytes are there
//	message Deny    { uint32 idx=1; uint32 st=2; repeated Member closer=3; }
//	message Data    { uint32 idx=1; uint32 len=2; }                             // and len raw bytes
//	message Ack     { uint32 idx=1; uint32 st=2; uint32 cls=3; bytes peer=4; }  // peer: who says so; empty is the sender
//	message Credit  { uint64 bytes=1; }
//	message Get     { repeated Item items=1; uint64 credit=2; }
//	message Miss    { uint32 idx=1; repeated Member closer=2; }
//	message Cancel  { uint32 idx=1; }
//	message Have    { repeated bytes mh=1; bytes nonce=2; repeated uint32 prove=3; }
//	message HaveR   { bytes bitmap=1; repeated bytes proof=2; bytes held=3; }   // proof: HMAC-SHA256(key = nonce, block), or empty
//	message Busy    { uint32 retry_ms=1; }
//	message Leases  { bytes mh=1; }
//	message LeasesR { repeated bytes record=1; }
//	message Part    { bytes bytes=1; uint32 more=2; }
//	message Naming  { repeated bytes name=1; }
//	message Named   { repeated bytes mh=1; }                                    // empty: not known
//	message PutRecord { uint32 kind=1; bytes key=2; bytes value=3; }            // kind 1 lease, 2 name; value at most 10 KiB
//	message GetRecord { uint32 kind=1; bytes key=2; }
//	message Record    { uint32 st=1; bytes value=2; }
//
// An offer has at most [Batch] items and carries no bytes, so nobody keeps what it has
// not asked for. Who takes a FANOUT item passes it on to its further holders: those
// after the first r of them, 2 if r is 0, up to as many as its lease says. It does so after its own Ack, and
// relays their answers as Acks with their names; the stream ends when it has no more to
// say. What it does not pass on costs its sender only time. Each item gets one verdict: a Deny in the Want, an Ack HAVE (it is
// here and now held under the lease), or a bit in the Want and an Ack after its Data.
// STORED and HAVE say that block and lease are on the disk. Of a wanted REST item its taker
// may have the beginning, from a stream of the same sender that was cut: it says how much in
// the Want, the Data brings the rest, and the credit is spent as for all of it. Who cannot
// deliver a wanted item says Cancel. Have asks at most [Batch] keys and proves at most [Proofs].
// What is proved and may be let go at that moment ([Parter]) is not said to be held.
//
// A PutRecord is answered by STORED or HAVE (that very value stands here), OLDER (a value
// that wins over it stands here, and is in the answer), or why not; a GetRecord by HAVE with
// the value that stands here, or ABSENT. Who asks judges a value as who keeps it does.
//
// Credit is the bytes that the receiver of data has reserved for the sender: it never
// sends more. In an offer it is granted anew when what came is on the disk, in a get
// when what came was checked. Each Get item is answered once, by Data or Miss; a
// cancelled one by Miss unless its Data is on the way. Busy ends a stream: come again
// later.
//
// What breaks these rules resets the stream and is an offence of its peer, counted in
// one place, [Conduct]: three of them, or one offered block whose bytes were wrong, and
// the peer is refused for an hour. Whatever arrives is checked against its key before
// anyone sees it. Each read, write and close has a deadline; data must come and go at
// about 10 KB/s at least. Peers that are given blocks take turns by bytes.
//
// On /cairn/sync/1.0.0 two peers compare what they keep together:
//
//	Part… → Part… → … → end      a comparison: messages in turn, of which the asker's come first
//	Naming → Named               which hashes stand behind these names?
//
// A message of a comparison is one or more Parts, all but the last of 60 KiB and with more
// = 1. What is in it is of the package blocks/replica/rbsr, which also bounds its bytes,
// and the messages. The stream's end, in the place of an answer, says that all agrees.
// Names are 32 bytes; those of one question are at most [Batch].
//
// [Serve] and [ServeSync] run on libp2p's goroutines, a stream each, with a few more that end with the
// stream. A [Client]'s calls own theirs; calls that fetch from one peer at the same time
// share a stream, which ends with the last of them.
package wire
