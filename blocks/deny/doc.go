// Package deny knows what the owner of a peer does not give out: lists of rules in files,
// in the compact denylist format of IPIP-383.
//
//	files → parse (one error, with file and line) → rules → [List.Block], [List.Path]
//
//	/ipfs/CID            the block, under every CID of its multihash
//	/ipfs/CID/a/b        one path; with * at its end all that begin so, and /ipfs/CID/* the block too
//	/ipns/NAME           a key or a domain; also with a path
//	//HASH               a rule that does not say what it is for: base58btc of a multihash of any of
//	                     the above, or the SHA-256 in hex of CIDV1/path or domain/path, as older lists have it
//	!RULE or +RULE       an exception: of the rules that match, the last one holds
//	# text               a comment; what stands behind a space after a rule is a hint, and not looked at
//
// A head of YAML that ends with --- is passed over but for its version, which is 1.
//
// What is denied stays denied while a list is read anew: a file that has become wrong
// changes nothing. A rule takes some 24 bytes of memory, however long it is.
//
// It fetches no lists, and says nothing of why something is on one. [Open] starts no
// goroutine; [List.Run] owns the one that looks for changes.
package deny
