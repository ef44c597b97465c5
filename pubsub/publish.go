package pubsub

import (
	"context"
	"fmt"
	"time"
)

// Publish says u to everybody. It fills in From, Seq, Time and Expires and
// answers the update as others hear it. It says no more than ten a second, and
// waits when it has to. That nobody is connected is no error.
//
// It answers [ErrBadUpdate] if u breaks a limit, and [ErrClosed].
func (b *Bus) Publish(ctx context.Context, u Update) (Update, error) {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return Update{}, fmt.Errorf("pubsub: publish: %w", ctx.Err())
	case <-b.done:
		return Update{}, ErrClosed
	}
	defer func() { <-b.turn }()
	if b.ended() {
		return Update{}, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return Update{}, fmt.Errorf("pubsub: publish: %w", err)
	}

	u, data, err := b.stamp(u)
	if err != nil {
		return Update{}, fmt.Errorf("pubsub: publish: %w", err)
	}
	for wait := b.pace.take(time.Now(), interval, burstSay); wait > 0; wait = b.pace.take(time.Now(), interval, burstSay) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return Update{}, fmt.Errorf("pubsub: publish: %w", ctx.Err())
		case <-b.done:
			return Update{}, ErrClosed
		}
	}
	if err := b.topic.Publish(ctx, data); err != nil {
		if b.ended() {
			return Update{}, ErrClosed
		}
		return Update{}, fmt.Errorf("pubsub: publish: %w", err)
	}
	return u, nil
}

// stamp fills in u and seals it. The caller has the turn.
func (b *Bus) stamp(u Update) (Update, []byte, error) {
	now := time.Now()
	u.From = b.self
	u.Time = now.UTC().Truncate(time.Millisecond)
	u.Expires = u.Time.Add(b.cfg.Life).Truncate(time.Millisecond)
	// The clock carries the sequence over a restart; if it was set back, what we
	// hear of ourselves does as far as it can.
	u.Seq = max(uint64(now.UnixNano()), b.last+1, b.judge.highest(b.self)+1)
	if err := u.fit(); err != nil {
		return Update{}, nil, fmt.Errorf("%w: %w", ErrBadUpdate, err)
	}
	data, err := seal(b.key, b.topic.String(), u)
	if err != nil {
		return Update{}, nil, err
	}
	if len(data) > b.cfg.MaxMessage {
		return Update{}, nil, fmt.Errorf("%w: %d bytes encoded, limit %d", ErrBadUpdate, len(data), b.cfg.MaxMessage)
	}
	b.last = u.Seq
	return u, data, nil
}
