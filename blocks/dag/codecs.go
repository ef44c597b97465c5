package dag

import (
	"fmt"

	"github.com/ipfs/go-cid"
	_ "github.com/ipld/go-ipld-prime/codec/cbor"    // a NodeGetter decodes with what is registered
	_ "github.com/ipld/go-ipld-prime/codec/dagcbor" // as above
	_ "github.com/ipld/go-ipld-prime/codec/dagjson" // as above
	_ "github.com/ipld/go-ipld-prime/codec/json"    // as above
	"github.com/multiformats/go-multicodec"
)

// linked answers nil if the links of the block c can be told.
func linked(c cid.Cid) error {
	switch codec := multicodec.Code(c.Type()); codec {
	case multicodec.Raw, multicodec.DagPb, multicodec.DagCbor, multicodec.DagJson, multicodec.Cbor, multicodec.Json:
		return nil
	default:
		return fmt.Errorf("codec %s: its links cannot be told", codec)
	}
}
