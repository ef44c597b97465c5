// Package gateway serves content to browsers and other programs over HTTP, as
// the IPFS gateways do: GET and HEAD of /ipfs/CID/path.
//
//	request → guard (Host, method, service worker) → boxo's handler → block service
//
// A CID is served in one of two ways. At CID.ipfs.localhost it has an origin of
// its own, and its pages may do what pages do; localhost/ipfs/CID leads there. On
// 127.0.0.1 and on allowed names all CIDs share one origin, so every page is
// sandboxed and none may install a service worker.
//
//	/ipfs/CID/path    the file, a range of it, index.html or the list of a directory
//	?format=raw|car   a block, or blocks that prove a path; also by Accept
//
// It stands on a port, and so an origin, of its own: a page that it serves is a
// stranger to the API. An answer that cannot be finished is broken off, so that
// no client takes it for the whole; one whose client has left ends.
//
// What it does not do yet: names (/ipns), DNSLink.
package gateway
