type=$1 blob=$2 comment=$3 like=$4
options=
if [ "$before" != none ]; then
if has "$type $blob"; then echo present; exit 0; fi
cp -p "$file" "$temp"
[ -z "$like" ] || options=$(sed -n -e '/^[[:space:]]*#/d' -e "s,^\(.*[[:space:]]\)$like.*\$,\1,p" "$file" | sed -n 1p)
if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then echo >> "$temp"; fi
fi
printf '%s%s %s %s\n' "$options" "$type" "$blob" "$comment" >> "$temp"
put
echo added
