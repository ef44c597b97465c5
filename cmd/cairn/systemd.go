package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// supervised tells systemd, if it asks, that the daemon is ready, then again and
// again that it lives, and at last that it stops. Its sign of life is an answer of
// its own API: what cannot answer is started anew.
func supervised(ctx context.Context, api string) error {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("daemon: systemd: %w", err)
	}
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("daemon: systemd: %w", err)
	}
	var tick <-chan time.Time
	if every > 0 {
		t := time.NewTicker(every / 3)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) // it sees the end by itself, too
			return nil
		case <-tick:
			if alive(ctx, api, every/3) {
				_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog) // the next one follows
			}
		}
	}
}

func alive(ctx context.Context, api string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/healthz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close() // the status is all
	return res.StatusCode == http.StatusOK
}
