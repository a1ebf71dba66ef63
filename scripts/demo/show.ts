import { styleText } from 'node:util'

const coloured = process.stdout.isTTY && !process.env.NO_COLOR

function style(format: Parameters<typeof styleText>[0], text: string): string {
  return coloured ? styleText(format, text) : text
}

export const bold = (text: string): string => style('bold', text)
export const green = (text: string): string => style('green', text)
export const red = (text: string): string => style('red', text)
export const dim = (text: string): string => style('dim', text)

export function step(title: string): void {
  console.log(`\n${bold(title)}`)
}

export function line(text: string): void {
  console.log(`  ${text}`)
}

/** Columns as wide as their widest cell; `paint` colours a cell after it was padded. */
export function table(
  rows: string[][],
  paint: (text: string, row: number, column: number) => string = text => text
): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  for (const [index, row] of rows.entries()) {
    line(
      row
        .map((cell, column) => paint(cell.padEnd(widths[column]!), index, column))
        .join('  ')
        .trimEnd()
    )
  }
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}
