package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/google/renameio/v2/maybe"
	"github.com/spf13/cobra"
)

// maxSmallFile is the limit of a key or a record that is read from a file, in bytes.
const maxSmallFile = 16 << 10

func (p *program) keyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make and keep the keys of names",
		Long: `Make and keep the keys of names. Who has the key of a name says what the name stands
for. The key self is the peer's own identity.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(p.keyGenCmd(), p.keyLsCmd(), p.keyExportCmd(), p.keyImportCmd(), p.keyRmCmd())
	return cmd
}

// printKey says which name a key has.
func (p *program) printKey(k blocks.KeyInfo) {
	if p.json {
		writeJSON(p.out, k)
		return
	}
	fmt.Fprintln(p.out, k.Name)
}

func (p *program) keyGenCmd() *cobra.Command {
	kind := ""
	cmd := &cobra.Command{
		Use:     "gen KEY",
		Short:   "Make a key and print its name",
		Example: "  cairn key gen site",
		Args:    exactly(1, "what to call the key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if kind != "ed25519" {
				return usagef("--type %s: want ed25519", kind)
			}
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				k, err := c.MakeKey(ctx, args[0])
				if err == nil {
					p.printKey(k)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&kind, "type", "ed25519", "kind of key: ed25519")
	return cmd
}

func (p *program) keyLsCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List the keys of this peer and their names",
		Example: "  cairn key ls",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				all, err := c.Keys(ctx)
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, all)
					return nil
				}
				t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "KEY\tNAME\tTYPE")
				for _, k := range all {
					fmt.Fprintf(t, "%s\t%s\t%s\n", k.Key, k.Name, k.Type)
				}
				return t.Flush()
			})
		},
	}
}

// exportedKey is where a key was written.
type exportedKey struct {
	Key  string `json:"key"`
	File string `json:"file"`
}

func (p *program) keyExportCmd() *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:   "export KEY -o FILE",
		Short: "Write a key to a file that its owner alone can read",
		Long: `Write a key to a file that its owner alone can read, as PEM of PKCS #8: other programs
read it, such as ipfs key import --format=pem-pkcs8-cleartext. It is not encrypted: who
reads it can publish under the key's name.`,
		Example: "  cairn key export site -o site.pem",
		Args:    exactly(1, "a key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usagef("%s: want -o and a file", cmd.CommandPath())
			}
			if _, err := os.Lstat(file); err == nil { // it may be the only copy of another key
				return usagef("key export: %s is there already, and is not written over", printable(file))
			}
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				pem, err := c.GiveKey(ctx, args[0])
				if err != nil {
					return err
				}
				if err := maybe.WriteFile(file, pem, 0o600); err != nil {
					return fmt.Errorf("key export: %w", err)
				}
				if p.json {
					writeJSON(p.out, exportedKey{args[0], file})
				} else {
					p.note("%s holds the key, not encrypted", printable(file))
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "`file` to write to")
	return cmd
}

func (p *program) keyImportCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "import KEY FILE",
		Short: "Take a key from a file and print its name",
		Long: `Take an Ed25519 key from a file, in PEM of PKCS #8 or as ipfs key export writes it, and
print its name.`,
		Example: "  cairn key import site site.pem",
		Args:    exactly(2, "what to call the key, and a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := p.smallFile(args[1])
			if err != nil {
				return err
			}
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				k, err := c.TakeKey(ctx, args[0], data)
				if err == nil {
					p.printKey(k)
				}
				return err
			})
		},
	}
}

func (p *program) keyRmCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "rm KEY",
		Short: "Forget a key for good",
		Long: `Forget a key for good. What its name stands for stays as it is until its record ends;
nobody without a copy of the key can change it.`,
		Example: "  cairn key rm site",
		Args:    exactly(1, "a key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				k, err := c.RemoveKey(ctx, args[0])
				if err == nil {
					p.printKey(k)
				}
				return err
			})
		},
	}
}

// smallFile reads a file, - being standard input.
func (p *program) smallFile(name string) ([]byte, error) {
	var in io.Reader = p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usagef("%s", err)
		}
		defer f.Close()
		in = f
	}
	var data bytes.Buffer
	if n, err := io.Copy(&data, io.LimitReader(in, maxSmallFile+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	} else if n > maxSmallFile {
		return nil, usagef("%s: larger than %d bytes", name, maxSmallFile)
	}
	return data.Bytes(), nil
}
