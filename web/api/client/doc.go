// Package client speaks to the API of a running peer; the command line is made
// of it.
//
//	call → request with the token → answer | *[Error] (the peer said no) | *[UnreachableError] (nobody there)
//
// What it promises: a file that was cut on its way is an error that
// io.ErrUnexpectedEOF holds for, and every wait has a limit. It retries nothing,
// follows no redirect and uses no proxy, so that the token stays here.
package client
