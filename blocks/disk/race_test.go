//go:build race

package disk_test

// Under the race detector pebble checks itself more closely, and ends the process when a
// flush of it fails half way, which is what some tests are about.
const pebbleChecksItself = true
