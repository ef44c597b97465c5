package rpc

import (
	"strings"

	"github.com/cairn-network/cairn/blocks"
)

// The limits of a path of the mutable files. It leaves room for a CID before it.
const (
	maxFilesPath  = 4 << 10 // bytes
	maxFilesNames = 128
)

// isImmutable reports whether p leads into /ipfs or /ipns, and not into the mutable files.
func isImmutable(p string) bool {
	return strings.HasPrefix(p, "/ipfs/") || strings.HasPrefix(p, "/ipns/")
}

// filesPath reads a path of the mutable files: /, or names each of which follows a slash.
// A slash at the end stays.
func filesPath(p string) (string, error) {
	switch {
	case p == "":
		return "", refuse("paths must not be empty")
	case p[0] != '/':
		return "", refuse("%q: paths must start with a leading slash", p)
	case len(p) > maxFilesPath:
		return "", refuse("a path of %d bytes, limit %d", len(p), maxFilesPath)
	}
	var names []string
	for name := range strings.SplitSeq(p, "/") {
		if name == "" {
			continue
		}
		if why := blocks.CheckName(name); why != "" {
			return "", refuse("%q: %s is not allowed", p, why)
		}
		names = append(names, name)
	}
	switch {
	case len(names) == 0:
		return "/", nil
	case len(names) > maxFilesNames:
		return "", refuse("a path of %d names, limit %d", len(names), maxFilesNames)
	}
	out := "/" + strings.Join(names, "/")
	if strings.HasSuffix(p, "/") {
		out += "/"
	}
	return out, nil
}

// entry reads the path of something that is made: not the root, and nothing that could not
// be reached because paths of its kind are immutable. A slash at the end goes.
func entry(p string) (string, error) {
	p, err := filesPath(p)
	if err != nil {
		return "", err
	}
	p = trimmed(p)
	if first, _, _ := strings.Cut(p[1:], "/"); first == "ipfs" || first == "ipns" {
		return "", refuse("%q: /%s is where immutable paths begin", p, first)
	}
	return p, nil
}

// trimmed is p without a slash at its end, unless it is the root.
func trimmed(p string) string {
	if p == "/" {
		return p
	}
	return strings.TrimSuffix(p, "/")
}

// parted is the directory of p, and the name in it.
func parted(p string) (dir, name string) {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 1)], p[i+1:]
}
