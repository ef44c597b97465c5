package gateway

import (
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/url"
	"sync"

	"github.com/ipfs/boxo/gateway/assets"
)

//go:embed *.html look.css
var look embed.FS

// page is a failure as a browser shows it.
var page = looked("failure.html")

// looked reads one of the templates, in which {{look}} is the style of all of them.
func looked(file string) *template.Template {
	return template.Must(template.New(file).Funcs(template.FuncMap{
		"look":      func() template.CSS { return template.CSS(text("look.css")) },
		"urlEscape": func(path string) string { return (&url.URL{Path: path}).String() }, // as boxo's: # and ? too
	}).ParseFS(look, file))
}

func text(file string) string {
	b, err := look.ReadFile(file)
	if err != nil {
		panic(err) // it is in the program
	}
	return string(b)
}

// ownListing gives boxo the page by which directories are listed here: its own brings
// 240 kB of icons with each, and is light whatever its reader prefers. What boxo lets one
// replace is the variable, so that all handlers of a process have the same one. Tags of
// listings change with it.
var ownListing = sync.OnceFunc(func() {
	sum := fnv.New64a()
	fmt.Fprint(sum, assets.AssetHash, text("listing.html"), text("look.css"))
	assets.DirectoryTemplate = looked("listing.html")
	assets.AssetHash = fmt.Sprintf("%x", sum.Sum64())
})
