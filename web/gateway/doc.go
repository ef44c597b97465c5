// Package gateway serves content to browsers and other programs over HTTP, as
// the IPFS gateways do: GET and HEAD of /ipfs/CID/path.
//
//	request → guard (Host, method, service worker) → boxo's handler → block service
//
// It stands on a port, and so an origin, of its own: a page that it serves is a
// stranger to the API. All CIDs share that origin, so every page is sandboxed.
//
// What it does not do yet: an origin for each CID, names (/ipns), DNSLink.
package gateway
