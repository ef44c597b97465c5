// Package gateway serves content to browsers and other programs over HTTP, as
// the IPFS gateways do: GET and HEAD of /ipfs/CID/path and /ipns/NAME/path.
//
//	request → guard (Host, method, path, service worker) → boxo's handler → backend → source → block service
//
// A CID is served in one of two ways. At CID.ipfs.localhost it has an origin of
// its own, and its pages may do what pages do; localhost/ipfs/CID leads there. On
// 127.0.0.1 and on allowed names all CIDs share one origin, so every page is
// sandboxed and none may install a service worker. Other names can be given to
// this peer as localhost is ([Config].Subdomains), or by DNSLink (Sites).
//
//	/ipfs/CID/path          the file, a range of it, index.html or the list of a directory
//	/ipns/NAME/path         what the name leads to: a key, or a domain by its DNSLink
//	?format=raw|car|tar     a block, blocks that prove a path, an archive; also by Accept
//	?format=ipns-record     the signed record; dag-json, dag-cbor, json and cbor as they are
//	/routing/v1             who has what, who is where; read only
//
// It stands on a port, and so an origin, of its own: a page that it serves is a
// stranger to the API. An answer that cannot be finished is broken off, so that
// no client takes it for the whole; one whose client has left ends. What one
// request reads is counted and has an end, and so has what all files together have in
// hand; a directory is listed page by page; what is denied is denied in every form,
// as all forms are made of blocks from one source. An error says which block is
// missing and how many were asked for it, as a page, as JSON or as text.
//
// No goroutine of this package outlives the request it serves.
package gateway
