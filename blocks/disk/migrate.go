package disk

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
)

// Format 1 had a file for each block, named by its multihash, and the ledger in
// a database of its own:
//
//	flatfs/XX/NAME.data    NAME is the base32 of the multihash, XX its last but two letters
//	ledger/                l/ id → lease, u/ id multihash → nothing, p/ root → pin in JSON
const (
	oldBlocks = "flatfs"
	oldLedger = "ledger"
)

var oldNames = base32.StdEncoding.WithPadding(base32.NoPadding)

// migrate brings a store of the given format forward: it copies all into the log,
// then changes the version, then removes the old folders. Killed at any point, it
// goes on from there the next time.
func (s *Store) migrate(format int) error {
	if format < version {
		s.cfg.Log.Info("store is brought forward", "from", format, "to", version)
		n, err := s.copyBlocks()
		if err == nil {
			err = s.dropStrangers()
		}
		if err == nil {
			err = s.copyLedger()
		}
		if err == nil {
			err = writeVersion(s.cfg.FS, s.dir)
		}
		if err != nil {
			return fmt.Errorf("bring format %d forward: %w", format, err)
		}
		s.cfg.Log.Info("store was brought forward", "blocks", n)
	}
	for _, name := range []string{oldBlocks, oldLedger} {
		path := s.cfg.FS.PathJoin(s.dir, name)
		if _, err := s.cfg.FS.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := s.cfg.FS.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// copyBlocks puts every whole block of the old folder.
func (s *Store) copyBlocks() (n int, err error) {
	ctx := context.Background() // as long as it takes: nothing else is open yet
	root := s.cfg.FS.PathJoin(s.dir, oldBlocks)
	shards, err := s.cfg.FS.List(root)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var batch []blocks.Block
	size := 0
	flush := func() error {
		err := s.put(ctx, batch)
		n += len(batch)
		batch, size = batch[:0], 0
		return spaced(err)
	}
	for _, shard := range shards {
		dir := s.cfg.FS.PathJoin(root, shard)
		if fi, err := s.cfg.FS.Stat(dir); err != nil || !fi.IsDir() || strings.HasPrefix(shard, ".") {
			continue
		}
		names, err := s.cfg.FS.List(dir)
		if err != nil {
			return n, err
		}
		for _, name := range names {
			h, ok := oldKey(name)
			if !ok {
				continue // somebody else's file
			}
			data, err := readFile(s.cfg.FS, s.cfg.FS.PathJoin(dir, name))
			if err != nil {
				return n, err
			}
			b, err := blocks.Check(blocks.Key(h), data)
			if err != nil {
				s.cfg.Log.Warn("a corrupt block is left behind", "cid", blocks.Key(h), "err", err)
				continue
			}
			batch, size = append(batch, b), size+len(data)
			if size >= 8<<20 || len(batch) >= 1024 {
				if err := flush(); err != nil {
					return n, err
				}
			}
		}
	}
	return n, flush()
}

func oldKey(name string) (mh.Multihash, bool) {
	text, ok := strings.CutSuffix(name, ".data")
	if !ok {
		return nil, false
	}
	raw, err := oldNames.DecodeString(text)
	if err != nil {
		return nil, false
	}
	h, err := mh.Cast(raw)
	return h, err == nil
}

// dropStrangers forgets what an earlier try copied and the older program, which
// ran in between, has deleted since.
func (s *Store) dropStrangers() error {
	ctx := context.Background() // as in copyBlocks
	var gone []mh.Multihash
	for h, err := range s.All(ctx) {
		if err != nil {
			return err
		}
		name := oldNames.EncodeToString(h)
		shard := name[max(len(name)-3, 0) : len(name)-1]
		_, err := s.cfg.FS.Stat(s.cfg.FS.PathJoin(s.dir, oldBlocks, shard, name+".data"))
		if errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, h)
		} else if err != nil {
			return err
		}
	}
	return s.forget(ctx, gone)
}

// copyLedger enters what the old ledger says.
func (s *Store) copyLedger() (err error) {
	ctx := context.Background() // as in copyBlocks
	dir := s.cfg.FS.PathJoin(s.dir, oldLedger)
	if _, err := s.cfg.FS.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	x := newIndex(s.cfg.Log)
	db, err := openPebble(dir, &pebble.Options{FS: s.cfg.FS, ReadOnly: true, Logger: &quiet{log: s.cfg.Log, x: x}}, x)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.try(db.Close)) }()
	err = scanPrefix(db, []byte(byID), func(k, value []byte) (bool, error) {
		l, err := blocks.ParseLease(value)
		if err != nil {
			return false, err
		}
		var hs []mh.Multihash
		under := []byte(underID + string(k[len(byID):]))
		err = scanPrefix(db, under, func(k, _ []byte) (bool, error) {
			hs = append(hs, mh.Multihash(append([]byte(nil), k[len(under):]...)))
			return true, nil
		})
		if err != nil {
			return false, err
		}
		return true, s.Hold(ctx, l, hs...)
	})
	if err != nil {
		return err
	}
	return scanPrefix(db, []byte(byRoot), func(_, value []byte) (bool, error) {
		p, err := parsePin(value)
		if err != nil {
			return false, err
		}
		return true, s.Pin(ctx, p)
	})
}
