package client_test

import (
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

func TestWhatWasPutIsAmongTheJobs(t *testing.T) {
	c := dial(t, &fake{})
	if _, err := c.Put(t.Context(), strings.NewReader("hello"), blocks.PutOptions{Name: "a.txt"}, nil); err != nil {
		t.Fatal(err)
	}
	all, err := c.Jobs(t.Context())
	if err != nil || len(all) != 1 || all[0].Name != "a.txt" || all[0].State != api.JobDone || all[0].Receipt == nil {
		t.Errorf("%+v %v", all, err)
	}
}
