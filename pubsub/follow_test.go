package pubsub_test

import (
	"testing"

	"github.com/cairn-network/cairn/pubsub"
)

func TestTheTopicOfARecordIsCalledAsOthersCallIt(t *testing.T) {
	if got, want := pubsub.RecordTopic([]byte("/ipns/a")), "/record/L2lwbnMvYQ"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
