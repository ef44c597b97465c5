package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) blockCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "block",
		Short: "Get, put and look at single blocks",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	cmd.AddCommand(p.blockGetCmd(), p.blockPutCmd(), p.blockStatCmd())
	return cmd
}

func (p *program) blockGetCmd() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "get PATH",
		Short:   "Write the bytes of one block to standard output, or to a file",
		Example: "  cairn block get CID | xxd\n  cairn block get CID/photos -o dir.pb",
		Args:    exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				b, err := c.Block(ctx, args[0])
				if err != nil {
					return err
				}
				summary := p.out
				if output == "-" {
					summary = p.err
					_, err = p.out.Write(b.RawData())
				} else {
					err = writeWhole(output, bytes.NewReader(b.RawData()))
				}
				if err != nil {
					return fmt.Errorf("block: %w", err)
				}
				if p.json {
					writeJSON(summary, api.BlockStat{CID: b.Cid().String(), Size: int64(len(b.RawData()))})
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "`file` to write to; - is standard output")
	return cmd
}

func (p *program) blockPutCmd() *cobra.Command {
	var o importFlags
	var codec, function string
	cmd := &cobra.Command{
		Use:   "put [FILE]",
		Short: "Keep one block on this peer and on others, and print its CID",
		Long: `Keep one block on this peer and on others, and print its CID. Without FILE, or with -, it is
standard input. What the block links to has to be here; --pin=false keeps it alone, as if
it had been read.`,
		Example: `  cairn block put leaf.bin
  cairn block put --codec dag-cbor --pin=false node.cbor`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%s: want one file, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := o.options(args)
			if err != nil {
				return err
			}
			file := "-"
			if len(args) > 0 {
				file = args[0]
			}
			in, _, err := p.openFile(file)
			if err != nil {
				return err
			}
			defer in.Close()
			data, err := io.ReadAll(io.LimitReader(in, blocks.MaxSize+1))
			if err != nil {
				return fmt.Errorf("block: %w", err)
			}
			if len(data) > blocks.MaxSize {
				return usagef("block put: a block has at most %d bytes; cairn put takes more", blocks.MaxSize)
			}
			return p.talk(cmd.Context(), func(ctx context.Context, w *watch, c *client.Client) error {
				m := p.meter()
				defer m.clear()
				o.quiet = o.quiet || options.NoPin
				return p.imported(o, m, w, func(tell func(blocks.Progress)) (blocks.Imported, error) {
					out, err := c.PutBlock(ctx, data, codec, function, options, tell)
					if err == nil && len(out.Roots) == 0 && !p.json {
						err = p.printSum(data, codec, function)
					}
					return out, err
				})
			})
		},
	}
	o.define(cmd, "pin")
	cmd.Flags().StringVar(&codec, "codec", "raw", "`name` of the codec: raw, dag-pb, dag-cbor, dag-json, ...")
	cmd.Flags().StringVar(&function, "mhtype", "sha2-256", "`name` of the hash function: sha2-256, sha2-512, blake3, blake2b-256")
	return cmd
}

// printSum prints the CID of a block that is not pinned, of which no receipt tells.
func (p *program) printSum(data []byte, codec, function string) error {
	c, err := codeOf("codec", codec)
	if err != nil {
		return err
	}
	f, err := codeOf("mhtype", function)
	if err != nil {
		return err
	}
	b, err := blocks.Sum(uint64(c), uint64(f), data)
	if err == nil {
		fmt.Fprintln(p.out, b.Cid())
	}
	return err
}

func (p *program) blockStatCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "stat PATH...",
		Short:   "Say which blocks paths name, and how long they are",
		Example: "  cairn block stat CID",
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, _ *watch, c *client.Client, path string) error {
				s, err := c.BlockStat(ctx, path)
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, api.BlockStat{CID: s.CID.String(), Size: s.Size})
					return nil
				}
				fmt.Fprintf(p.out, "%s  %d\n", s.CID, s.Size)
				return nil
			})
		},
	}
}
