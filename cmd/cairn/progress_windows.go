package main

import "os"

// statusSignals are none: there is no such signal to send.
var statusSignals []os.Signal
