// Package dag turns files and trees into blocks and blocks into files and trees.
//
//	Split:     reader → chunks → leaves and their parents, the root last
//	Build:     files, directories, symlinks → their blocks, the root last
//	Open:      root → reader of the file, which asks for blocks as it is read
//	List:      root of a directory → its entries
//	Stat:      root → what it is
//	Walk:      root → every distinct block under it, leaves unread
//	ReadCAR:   file of blocks → its roots and its blocks, checked
//	Export:    root → every block under it, depth first, as a CAR
//	ParsePath: what somebody typed → root and names
//	Resolve:   root and names → the root of the file
//
// All of them are pulled by their caller: a slow reader of blocks slows the file down and
// nothing piles up in between. Split, and Build for each file, have a few leaves hashed ahead
// on goroutines that end before they return, and List has a few blocks asked for in the
// same way; Walk and Resolve start none. A
// [File] that is read in order asks for up to 16 MiB ahead of its reader, on goroutines that
// end with its Close; read here and there it asks for what it needs.
//
// The blocks are UnixFS as other IPFS programs write it: equal bytes under an
// equal [Layout] get an equal CID everywhere, and so do equal trees.
package dag
