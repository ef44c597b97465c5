// Package api is the control of a running peer over HTTP, under /api/v1.
//
//	request → guard (Host, Origin, token or cookie) → route → [Node] → JSON, NDJSON, SSE or bytes
//	                    any error → fail → application/problem+json
//
// What it promises: no route answers to a foreign Host or Origin, and only the
// two probes, the page, the sign-in and, if asked for, the metrics answer
// without the token or the cookie of a browser that has signed in ([Door]). A file or a
// tree is stored only when its body was read to its end. A download that fails breaks
// the connection and is never short with a clean end. No wait is without a limit.
//
// What it does not do: it serves no content to browsers (that is web/gateway, on
// another port and so another origin), sends no CORS header, and opens no socket.
//
// [New] starts no goroutine; what a request starts ends with the request.
package api
