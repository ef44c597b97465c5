package client

import "time"

// Hurry shortens the waits for the next byte.
func Hurry(c *Client, idle time.Duration) { c.idle, c.updateIdle = idle, idle }
