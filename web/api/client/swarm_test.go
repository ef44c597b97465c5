package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
)

func (f *fake) Connect(_ context.Context, addr string) (string, error) {
	if addr != "/here a&b" {
		return "", &api.NoAnswerError{Err: errors.New("nobody there")}
	}
	return "you", nil
}

func TestConnectSaysWhoOrWhyNot(t *testing.T) {
	c := dial(t, &fake{})
	defer c.Close()
	if to, err := c.Connect(t.Context(), "/here a&b"); err != nil || to.ID != "you" {
		t.Error(to, err)
	}
	var said *client.Error
	if _, err := c.Connect(t.Context(), "/there"); !errors.As(err, &said) || said.Code != api.CodeTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
