// Package blocks is the vocabulary of content: what a block is, how it is
// checked, under which lease it is held, and the small interfaces through which
// the rest of the program reads and writes it.
//
//	bytes from outside → Check → Block → Store (durable) + Ledger (why it is kept)
//
// A [Block] can only be made by hashing its bytes ([New]), by checking them
// against the CID they came under ([Check]), or, inside the two packages that
// have just hashed them, by [Hashed]. So whatever holds a Block holds the right
// bytes, and no unchecked byte reaches a [Store].
//
// It is the ground floor. It imports no other package of this module, opens no
// socket and starts no goroutine.
package blocks
