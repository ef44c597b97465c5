package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multibase"
	"github.com/multiformats/go-multicodec"
	mh "github.com/multiformats/go-multihash"
	"github.com/spf13/cobra"
)

func (p *program) cidCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cid [CID...]",
		Short: "Take CIDs apart, and write them in other forms",
		Long: `Take CIDs apart, and write them in other forms. It needs no daemon. With CIDs and no command
it says what each of them is made of.`,
		Example: "  cairn cid CID\n  cairn cid base32 QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return eachCID(args, p.printCID)
		},
	}
	cmd.AddCommand(p.cidFormatCmd(), p.cidBase32Cmd(), p.cidCodecsCmd())
	return cmd
}

// eachCID calls f with what each of args says.
func eachCID(args []string, f func(cid.Cid) error) error {
	for _, arg := range args {
		c, err := cid.Decode(arg)
		if err != nil {
			return usagef("%s: not a CID: %s", printable(arg), err)
		}
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

// cidParts is what a CID is made of.
type cidParts struct {
	CID      string `json:"cid"`
	Version  uint64 `json:"version"`
	Codec    string `json:"codec"`
	Function string `json:"mhtype"`
	Length   int    `json:"digest_bytes"`
	Digest   string `json:"digest"` // in hexadecimal
	Base32   string `json:"base32"` // of version 1
	Base58   string `json:"base58"` // of version 1
	V0       string `json:"v0,omitempty"`
}

func (p *program) printCID(c cid.Cid) error {
	d, err := mh.Decode(c.Hash())
	if err != nil {
		return usagef("%s: %s", c, err)
	}
	v1 := cid.NewCidV1(c.Type(), c.Hash())
	out := cidParts{CID: c.String(), Version: c.Version(), Codec: multicodec.Code(c.Type()).String(), Function: multicodec.Code(d.Code).String(),
		Length: d.Length, Digest: fmt.Sprintf("%x", d.Digest), Base32: v1.String()}
	if out.Base58, err = v1.StringOfBase(multibase.Base58BTC); err != nil {
		return err
	}
	if v0, ok := asV0(c); ok {
		out.V0 = v0.String()
	}
	if p.json {
		writeJSON(p.out, out)
		return nil
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "cid\t%s\nversion\t%d\ncodec\t%s\nmultihash\t%s, %d bytes\ndigest\t%s\nbase32\t%s\nbase58\t%s\n",
		out.CID, out.Version, out.Codec, out.Function, out.Length, out.Digest, out.Base32, out.Base58)
	if out.V0 != "" {
		fmt.Fprintf(t, "v0\t%s\n", out.V0)
	}
	return t.Flush()
}

// asV0 is c as version 0, which only dag-pb under SHA2-256 has.
func asV0(c cid.Cid) (cid.Cid, bool) {
	if pre := c.Prefix(); pre.Codec != cid.DagProtobuf || pre.MhType != mh.SHA2_256 || pre.MhLength != 32 {
		return cid.Undef, false
	}
	return cid.NewCidV0(c.Hash()), true
}

// writtenCID is a CID in another form.
type writtenCID struct {
	CID       string `json:"cid"`
	Formatted string `json:"formatted"`
}

func (p *program) printWritten(c cid.Cid, s string) {
	if p.json {
		writeJSON(p.out, writtenCID{c.String(), s})
		return
	}
	fmt.Fprintln(p.out, s)
}

func (p *program) cidBase32Cmd() *cobra.Command {
	return &cobra.Command{
		Use:     "base32 CID...",
		Short:   "Write CIDs as version 1 in base32",
		Example: "  cairn cid base32 QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o",
		Args:    some("a CID"),
		RunE: func(_ *cobra.Command, args []string) error {
			return eachCID(args, func(c cid.Cid) error {
				p.printWritten(c, cid.NewCidV1(c.Type(), c.Hash()).String())
				return nil
			})
		},
	}
}

func (p *program) cidFormatCmd() *cobra.Command {
	var format, version, base, codec string
	cmd := &cobra.Command{
		Use:   "format CID...",
		Short: "Write CIDs as a format says",
		Long: `Write CIDs as a format says: %s is the CID, %S its text without the prefix of the base, %b
and %B the base by name and by prefix, %v and %V the version, %c and %C the codec by name
and number, %h and %H the hash function, %L the length of the digest, %d and %D the digest and
%m and %M the multihash (the second with the prefix of the base), %P the prefix,
%% a percent sign. A format by that name, prefix, is %P.`,
		Example: "  cairn cid format -v 1 -b base58btc CID\n  cairn cid format -f %c-%h-%L CID",
		Args:    some("a CID"),
		RunE: func(_ *cobra.Command, args []string) error {
			return eachCID(args, func(c cid.Cid) error {
				s, err := formatCID(c, format, version, base, codec)
				if err == nil {
					p.printWritten(c, s)
				}
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&format, "format", "f", "%s", "the `format`")
	f.StringVarP(&version, "cid-version", "v", "", "0 or 1; empty is the CID's own")
	f.StringVarP(&base, "base", "b", "", "`name` of a multibase, which makes it version 1; empty is that of the CID's version")
	f.StringVar(&codec, "mc", "", "`name` of a codec to put in place of the CID's")
	return cmd
}

func formatCID(c cid.Cid, format, version, base, codec string) (string, error) {
	if codec != "" {
		code, err := codeOf("mc", codec)
		if err != nil {
			return "", err
		}
		if c.Version() == 0 && code != multicodec.DagPb && version != "1" {
			return "", usagef("--mc %s: a CID of version 0 is dag-pb; add -v 1", codec)
		}
		c = cid.NewCidV1(uint64(code), c.Hash())
		if version == "" && code == multicodec.DagPb {
			version = "1"
		}
	}
	switch version {
	case "":
		if base != "" {
			c = cid.NewCidV1(c.Type(), c.Hash())
		}
	case "1":
		c = cid.NewCidV1(c.Type(), c.Hash())
	case "0":
		v0, ok := asV0(c)
		if !ok || base != "" && base != "base58btc" {
			return "", usagef("%s: only dag-pb under sha2-256 in base58btc can be of version 0", c)
		}
		c, base = v0, ""
	default:
		return "", usagef("-v %s: want 0 or 1", version)
	}
	enc := multibase.MustNewEncoder(multibase.Base32)
	if c.Version() == 0 {
		enc = multibase.MustNewEncoder(multibase.Base58BTC)
	}
	if base != "" {
		var err error
		if enc, err = multibase.EncoderByName(base); err != nil {
			return "", usagef("-b %s: %s", base, err)
		}
	}
	return expand(c, enc, format)
}

// expand writes c as format says.
func expand(c cid.Cid, enc multibase.Encoder, format string) (string, error) {
	if format == "prefix" {
		format = "%P"
	}
	d, err := mh.Decode(c.Hash())
	if err != nil {
		return "", usagef("%s: %s", c, err)
	}
	plain := func(data []byte) string { return enc.Encode(data)[1:] }
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out.WriteByte(format[i])
			continue
		}
		if i++; i == len(format) {
			return "", usagef("-f %s: it ends in a %%", format)
		}
		switch format[i] {
		case '%':
			out.WriteByte('%')
		case 's':
			out.WriteString(c.Encode(enc))
		case 'S':
			out.WriteString(plain(c.Bytes()))
		case 'b':
			out.WriteString(multibase.EncodingToStr[enc.Encoding()])
		case 'B':
			out.WriteRune(rune(enc.Encoding()))
		case 'v':
			fmt.Fprintf(&out, "cidv%d", c.Version())
		case 'V':
			fmt.Fprint(&out, c.Version())
		case 'c':
			out.WriteString(multicodec.Code(c.Type()).String())
		case 'C':
			fmt.Fprint(&out, c.Type())
		case 'h':
			out.WriteString(multicodec.Code(d.Code).String())
		case 'H':
			fmt.Fprint(&out, d.Code)
		case 'L':
			fmt.Fprint(&out, d.Length)
		case 'd':
			out.WriteString(plain(d.Digest))
		case 'D':
			out.WriteString(enc.Encode(d.Digest))
		case 'm':
			out.WriteString(plain(c.Hash()))
		case 'M':
			out.WriteString(enc.Encode(c.Hash()))
		case 'P':
			fmt.Fprintf(&out, "cidv%d-%s-%s-%d", c.Version(), multicodec.Code(c.Type()), multicodec.Code(d.Code), d.Length)
		default:
			return "", usagef("-f %s: %%%c is not known", format, format[i])
		}
	}
	return out.String(), nil
}

// codec is one of the table of codecs.
type codec struct {
	Name string `json:"name"`
	Code uint64 `json:"code"`
}

func (p *program) cidCodecsCmd() *cobra.Command {
	var numeric bool
	cmd := &cobra.Command{
		Use:     "codecs",
		Short:   "List the codecs that a CID may have",
		Example: "  cairn cid codecs --numeric",
		Args:    exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			for _, c := range multicodec.KnownCodes() {
				switch {
				case c.Tag() != "ipld" && c != multicodec.Cbor && c != multicodec.Json:
				case p.json:
					writeJSON(p.out, codec{c.String(), uint64(c)})
				case numeric:
					fmt.Fprintf(p.out, "%d  %s\n", uint64(c), c)
				default:
					fmt.Fprintln(p.out, c)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&numeric, "numeric", "n", false, "print their numbers too")
	return cmd
}

// codeOf is the code of a name that a flag gave.
func codeOf(flag, name string) (c multicodec.Code, err error) {
	if err := c.Set(name); err != nil {
		return c, usagef("--%s %s: no such name; cairn cid codecs lists codecs", flag, printable(name))
	}
	return c, nil
}
