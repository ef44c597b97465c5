package host

// NewTLS is for the tests of what goes to the kernel.
var NewTLS = newTLS
