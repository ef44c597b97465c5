package node

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// keys calls f with each key of c and its value, until f answers an error.
func (c *Config) keys(f func(key string, v reflect.Value) error) error {
	top := reflect.ValueOf(c).Elem()
	for i := range top.NumField() {
		section := top.Type().Field(i).Tag.Get("toml")
		for j := range top.Field(i).NumField() {
			key := section + "." + top.Field(i).Type().Field(j).Tag.Get("toml")
			if err := f(key, top.Field(i).Field(j)); err != nil {
				return err
			}
		}
	}
	return nil
}

func envName(key string) string {
	return "CAIRN_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// overlay sets the keys for which the environment has a variable.
func (c *Config) overlay(lookup func(string) (string, bool)) error {
	return c.keys(func(key string, v reflect.Value) error {
		text, ok := lookup(envName(key))
		if !ok {
			return nil
		}
		if err := set(v, text); err != nil {
			return &ConfigError{File: envName(key), Reason: err.Error()}
		}
		return nil
	})
}

// set gives v the value that text says, by v's type.
func set(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q: want true or false", text)
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 0)
		if err != nil {
			return fmt.Errorf("%q: want a whole number", text)
		}
		v.SetInt(n)
	case reflect.Slice: // of strings
		list := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		v.Set(reflect.ValueOf(list))
	default:
		panic("node: a config key of kind " + v.Kind().String())
	}
	return nil
}
