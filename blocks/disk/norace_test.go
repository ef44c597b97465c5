//go:build !race

package disk_test

const pebbleChecksItself = false
