// Package replicatest is a network of peers that keep blocks, in one process and in
// virtual time: each peer is a real [replica.Set], everything around it is not.
//
//	world.go   events (join, die, leave and return, cut, heal) → what is true
//	view.go    what is true → what each peer believes → replica.Router
//	carrier.go one peer's question or offer → latency, bandwidth, loss → the other's Set
//	passing.go what the closest holder passes on; what a reader sees
//	spread.go  in which nets members are
//	compare.go what two neighbours compare, and prove to each other
//	disk.go    a peer's store and ledger, which tell the checker what comes and goes
//	check.go   the omniscient map: who holds what, what is lost, what repair took
//	chance.go  what arithmetic says should come out
//	report.go  one line for each figure, and the table of them
//
// A [World] promises that a member learns of a death, a join or a cut after the time
// that [Config] says and no earlier, that nobody reaches who is gone, and that a block
// counts as lost as soon as nobody who lives or will return has it. It does not look
// for members the way a router does: how these are found is the tests' of package dht.
// It does not time the disk.
//
// The same seed gives the same members, blocks, deaths and delays. What goroutines do
// at the same instant of virtual time is in no set order, so figures that hang on it
// (bytes, repair times) differ a little from run to run; what dies and when does not.
//
// It is for tests only and runs in a bubble of [testing/synctest]. The caller's
// goroutine drives the events in [World.Run]; the Sets' goroutines belong to the World
// and end with [World.Close].
package replicatest
