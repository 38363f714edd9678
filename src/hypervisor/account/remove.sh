key=$1 keep=$2
if [ "$before" = none ] || ! has "$key"; then echo absent; exit 0; fi
has "$keep" || say "the key that is to stay is not in $file"
cp -p "$file" "$temp"
sed -e '/^[[:space:]]*#/b' -e "\,^$key,d" -e "\,[[:space:]]$key,d" "$file" > "$temp"
put
echo removed
